from .codes import code_prior as code_prior
from .flow import flow_prior as flow_prior
from .flow import transformed as transformed
from .mixture import gaussian_mixture_prior as gaussian_mixture_prior
from .sphere import uniform_sphere as uniform_sphere
from .standard import standard_normal as standard_normal
from .vamp import vamp_prior as vamp_prior
