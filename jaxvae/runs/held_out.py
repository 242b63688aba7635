"""The test images of a run: one fixed draw, so that the numbers of two runs can be compared."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxvae import data
from jaxvae.checks import positive_integer
from jaxvae.data.protocols import PROTOCOLS, fixed_binarization
from jaxvae.evaluation.bounds.report import Setting
from jaxvae.networks.precision import in_words
from jaxvae.runs.builders.from_config import build_observation
from jaxvae.runs.configs.config import Config, DataConfig

SEED = 0


class HeldOut(NamedTuple):
    """Test images as the model sees them.

    Attributes:
        x: float32 [N, H, W, C], in the units of the likelihood.
        images: uint8 [N, H, W, C], as they came.
        labels: int64 [N], or None.
        protocol: how x came from the images, in words.
        seed: of the draw and of the posterior samples in the evaluation.
        sha256: of x.
    """

    x: np.ndarray
    images: np.ndarray
    labels: np.ndarray | None
    protocol: str
    seed: int
    sha256: str


def load_images(config: DataConfig, split: str) -> data.Dataset:
    """Loads a split; of a file or folder of your own, `test_fraction` is held out where no split has a name."""
    own = Path(config.name).expanduser().exists() and config.name not in data.built_in()
    found = data.load(config.name, split, **({"test_fraction": config.test_fraction} if own else {}))
    if found.kind != "images":
        raise ValueError(
            f"data.name is {config.name!r}, which holds {found.kind}, but the protocols of a run make x of images. "
            f"Train on other examples in Python: jaxvae.fit(model, jaxvae.data.load(...).examples)."
        )
    return found


def load_held_out(config: DataConfig) -> HeldOut:
    """Loads the test split and draws it once: "dynamic" becomes the fixed binarisation with the same probabilities."""
    dataset = load_images(config, config.test_split)
    if config.protocol == "dynamic":
        binary, digest = fixed_binarization(dataset.images, SEED)
        x, protocol = (binary > 0).astype(np.float32), "fixed draw of Bernoulli(x / 255)"
        return HeldOut(x, dataset.images, dataset.labels, protocol, SEED, digest)
    keys = jax.random.split(jax.random.key(SEED), len(dataset.images))
    x = np.asarray(jax.jit(jax.vmap(PROTOCOLS[config.protocol]))(keys, dataset.images))
    digest = hashlib.sha256(x.tobytes()).hexdigest()
    return HeldOut(x, dataset.images, dataset.labels, config.protocol, SEED, digest)


def setting_of(config: DataConfig, test: HeldOut, limit: int | None = None) -> Setting:
    """The setting of numbers measured on the test images, or on the first `limit` of them.

    Raises:
        ValueError, TypeError: if limit is no positive integer.
    """
    of = len(test.images)
    count = of if limit is None else min(positive_integer("limit", limit), of)
    data = f"{config.name}/{config.test_split}"
    return Setting(data, count, of, test.protocol, test.seed, test.sha256, precision=in_words())


def bin_width(config: Config) -> float | None:
    """The width of one discrete value of x, see `bits_per_dimension`, or None where a run's x has no discrete values.

    Example:
        >>> bin_width(Config()), bin_width(Config(data=DataConfig(protocol="grey")))
        (1.0, None)
    """
    discrete = build_observation(config.model).discrete
    if discrete and config.data.protocol in ("threshold", "dynamic", "levels"):
        return 1.0
    return 1 / 256 if not discrete and config.data.protocol == "dequantize" else None
