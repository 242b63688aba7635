from .causal import autoregressive as autoregressive
from .density import density_model as density_model
