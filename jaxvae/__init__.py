"""Variational autoencoders in JAX: right, fast and pleasant to train, measure and explore.

What is used most is here; the rest lives in namespaces such as `jaxvae.networks`, `jaxvae.priors` or `jaxvae.plots`.
Both are listed once, in `__init__.pyi`, and imported when they are first used, so that `import jaxvae` costs nothing.
"""

import re
from pathlib import Path
from typing import Any

import lazy_loader

_listed, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in __all__ or name.startswith("__"):
        return _listed(name)
    places = _places(name)
    hint = f" It is {' or '.join(places)}." if places else ""
    raise AttributeError(f"module 'jaxvae' has no attribute {name!r}.{hint}")


def _places(name: str) -> list[str]:
    """Where the namespaces have that name, by their own lists."""
    stubs, root = Path(__file__).parent.rglob("*/__init__.pyi"), Path(__file__).parent
    found = [stub.parent for stub in stubs if re.search(rf" as {re.escape(name)}$", stub.read_text("utf-8"), re.M)]
    short = [(place.name,) if place.name in __all__ else place.relative_to(root).parts for place in found]
    return sorted(".".join(("jaxvae", *parts, name)) for parts in short)
