from .bounds import local_bounds as local_bounds
from .gaps import inference_gaps as inference_gaps
