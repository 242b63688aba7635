from .couplings import channel_coupling as channel_coupling
from .couplings import checkerboard as checkerboard
from .couplings import masked_coupling as masked_coupling
from .layers import actnorm as actnorm
from .layers import squeezed as squeezed
from .multiscale import glow as glow
from .multiscale import split as split
