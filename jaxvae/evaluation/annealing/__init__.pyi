from .annealed import ancestral_sample as ancestral_sample
from .annealed import annealed_bounds as annealed_bounds
