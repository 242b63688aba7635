"""Data: NumPy arrays in, uint8 images out, or another kind by its name. Importing it needs neither jax nor a source.

>>> load("digits").images.shape
(1500, 8, 8, 1)
"""

from typing import TYPE_CHECKING, Any

from jaxvae.data.catalogue import built_in, load
from jaxvae.data.dataset import Dataset, from_array

if TYPE_CHECKING:
    from jaxvae.data.protocols import PROTOCOLS, fixed_binarization

__all__ = ["PROTOCOLS", "Dataset", "built_in", "fixed_binarization", "from_array", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jaxvae.data import protocols  # it imports jax, which the rest of this package does not

    return getattr(protocols, name)
