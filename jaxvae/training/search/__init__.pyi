from .coordinate_ascent import e_step as e_step
from .coordinate_ascent import m_step as m_step
from .coordinate_ascent import quadrature_elbo as quadrature_elbo
from .local import fit_posterior as fit_posterior
