"""MNIST through TensorFlow Datasets: 70,000 handwritten digits of 28x28 pixels."""

import os

from jaxvae.data.dataset import Dataset
from jaxvae.data.prepared.converted import load_prepared


def load(split: str = "train", *, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Returns MNIST: images uint8 [60000 or 10000, 28, 28, 1], labels 0..9.

    Args:
        split: "train" (60,000 images) or "test" (10,000).
        data_dir: where TFDS has prepared it; default $TFDS_DATA_DIR, else ~/tensorflow_datasets.

    Raises:
        FileNotFoundError: not prepared; the message holds the command.
        ValueError: a damaged file, by name.

    Source: LeCun, Cortes and Burges, 2010, http://yann.lecun.com/exdb/mnist.
    """
    return load_prepared("mnist", split, data_dir=data_dir)
