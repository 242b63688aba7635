from .grid import GridPosterior as GridPosterior
from .grid import grid_points as grid_points
from .grid import grid_posterior as grid_posterior
from .parts import EvidenceParts as EvidenceParts
from .parts import evidence_parts as evidence_parts
from .parts import gaussian_on_grid as gaussian_on_grid
