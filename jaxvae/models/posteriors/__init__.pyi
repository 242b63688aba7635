from .flow import flow_posterior as flow_posterior
from .full_covariance import full_covariance_posterior as full_covariance_posterior
from .gaussian import gaussian_posterior as gaussian_posterior
from .hyperspherical import hyperspherical_posterior as hyperspherical_posterior
from .low_rank import low_rank_posterior as low_rank_posterior
