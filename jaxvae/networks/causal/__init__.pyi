from .masked import masked_network as masked_network
from .pixel_cnn import gated_pixel_cnn as gated_pixel_cnn
from .records import CausalNetwork as CausalNetwork
from .records import sees_only_the_past as sees_only_the_past
from .records import visit_by_passes as visit_by_passes
from .transformer import causal_transformer as causal_transformer
