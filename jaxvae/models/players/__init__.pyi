from .critic import add_parameters as add_parameters
from .critic import with_critic as with_critic
from .generator import gan as gan
