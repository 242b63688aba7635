from .causal import autoregressive as autoregressive
from .density import density_model as density_model
from .discrete_levels import dequantized as dequantized
from .flow import flow_model as flow_model
