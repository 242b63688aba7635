from .causal import autoregressive as autoregressive
from .continuous import continuous_flow as continuous_flow
from .continuous import flow_matching_loss as flow_matching_loss
from .continuous import hutchinson_model as hutchinson_model
from .density import density_model as density_model
from .discrete_levels import dequantized as dequantized
from .flow import flow_model as flow_model
