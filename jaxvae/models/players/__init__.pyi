from .critic import add_parameters as add_parameters
from .critic import with_critic as with_critic
from .cycle import Cycle as Cycle
from .cycle import cycle_gan as cycle_gan
from .generator import gan as gan
