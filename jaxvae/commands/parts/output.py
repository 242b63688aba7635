"""Where commands write: a picture beside the run's own, or the array that was asked for."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.files import make_folder, whole_file
from jaxvae.runs.configs.options import output_path


def write_images(run: str, name: str, output: str | None, images: Any, draw: Callable[[], tuple[Any, Any]]) -> Path:
    """Writes `images` as .npy, or what `draw` draws as .png, and prints the path.

    Raises:
        ValueError: for an output that ends in neither .png nor .npy.
        OSError: naming the path and a remedy; no part of a file is left.
    """
    from jaxvae.evaluation import plots

    path = output_path(output, Path(run) / "pictures" / f"{name}.png")
    if path.suffix.lower() not in (".png", ".npy"):
        raise ValueError(f"output is {str(path)!r}, expected a name that ends in .png or .npy.")
    make_folder(path.parent)
    if path.suffix.lower() == ".npy":
        write_array(path, images)
    else:
        plots.save(draw()[0], path)
    print(path)
    return path


def write_array(path: Path, array: Any) -> None:
    """Writes an array as .npy, whole or not at all; raises `OSError` naming the path and a remedy."""
    buffer = io.BytesIO()  # into a file itself NumPy writes in a way that does not say that the disk is full
    np.save(buffer, np.asarray(array), allow_pickle=False)
    with whole_file(path, needed=len(buffer.getbuffer())) as file:
        file.write(buffer.getbuffer())
