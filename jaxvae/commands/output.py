"""Where the looking scripts write: a picture beside the run's own, or the array that was asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def write_images(run: str, name: str, output: str | None, images: Any, draw: Callable[[], tuple[Any, Any]]) -> Path:
    """Writes `images` as .npy, or what `draw` draws as .png, and prints the path.

    Raises:
        ValueError: for an output that ends in neither .png nor .npy.
    """
    from jaxvae.evaluation import plots

    path = Path(run) / "pictures" / f"{name}.png" if output is None else Path(output)
    if path.suffix not in (".png", ".npy"):
        raise ValueError(f"output is {str(path)!r}, expected a name that ends in .png or .npy.")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, np.asarray(images), allow_pickle=False)
    else:
        plots.save(draw()[0], path)
    print(path)
    return path
