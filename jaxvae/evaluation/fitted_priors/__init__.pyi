from .closed_form import draw_codes as draw_codes
from .closed_form import fit_gaussian_mixture as fit_gaussian_mixture
from .closed_form import fit_normal as fit_normal
from .kernel_density import fit_kde as fit_kde
from .maximum_likelihood import train_density as train_density
from .trained import fit_density as fit_density
from .trained import fit_flow as fit_flow
from .trained import fit_two_stage as fit_two_stage
