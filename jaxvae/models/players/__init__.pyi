from .critic import add_parameters as add_parameters
from .critic import check_network as check_network
from .critic import critic_outputs as critic_outputs
from .critic import with_critic as with_critic
from .generator import gan as gan
