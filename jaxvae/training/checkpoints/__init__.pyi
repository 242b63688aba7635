from .checkpoint import restore as restore
from .checkpoint import save as save
from .checkpoint import steps as steps
from .weights import load_weights as load_weights
from .weights import save_weights as save_weights
