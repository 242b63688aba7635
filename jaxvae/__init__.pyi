from . import data as data
from .math.bernoulli import bernoulli_log_prob as bernoulli_log_prob
from .math.bernoulli import continuous_bernoulli_log_prob as continuous_bernoulli_log_prob
from .math.categorical import categorical_log_prob as categorical_log_prob
from .math.laplace import laplace_log_prob as laplace_log_prob
from .math.logistic import discretized_logistic_log_prob as discretized_logistic_log_prob
from .math.logistic import logistic_mixture_log_prob as logistic_mixture_log_prob
from .math.normal import normal_kl as normal_kl
from .math.normal import normal_kl_standard as normal_kl_standard
from .math.normal import normal_log_prob as normal_log_prob
from .math.normal import reparameterize as reparameterize
from .math.numerics import log_mean_exp as log_mean_exp
from .objectives.bounds import elbo as elbo
from .objectives.bounds import iwae_bound as iwae_bound
from .objectives.terms import Terms as Terms
__version__: str
