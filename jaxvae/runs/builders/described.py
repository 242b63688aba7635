"""What a run says of its data before the first step, a line each."""

from collections.abc import Callable

import numpy as np

from jaxvae.runs.choices.data import PROTOCOLS, meaning, noun
from jaxvae.runs.choices.networks import sized
from jaxvae.runs.configs.config import Config

SEEN = 4096  # images whose grey levels are counted


def describe_protocol(asked: str, config: Config) -> str:
    """What x is, in a line, and why where nobody asked for it."""
    protocol = config.data.protocol
    why = ""
    if asked == "auto" and protocol == "grey" and config.model.likelihood == "bernoulli":
        why = (
            ". These pictures are not binary, so they are not binarised; under a Bernoulli likelihood the bound is "
            "then no likelihood. --model.likelihood discretized_logistic scores their levels, --data.protocol dynamic "
            "binarises them"
        )
    return f"Protocol {protocol}: {meaning(protocol, config.data.levels)}{why}."


def levels_of(images: np.ndarray) -> int:
    """How many evenly spaced grey levels are all there is in pictures, 256 where they are no fewer.

    Example:
        >>> from jaxvae import data
        >>> levels_of(data.load("digits").images)
        17
    """
    found = np.unique(images[:SEEN])
    spaced = np.round(np.arange(len(found)) * 255 / max(len(found) - 1, 1))
    return len(found) if np.array_equal(found, spaced) else 256


def say_levels(config: Config, images: np.ndarray, say: Callable[[str], None]) -> None:
    """Says where a likelihood of 256 levels is trained on pictures that have far fewer."""
    if config.data.levels != 256 or not PROTOCOLS[config.data.protocol].levels:
        return
    found = levels_of(images)
    if 2 <= found <= 128:
        say(
            f"These pictures have {found} grey levels, evenly spaced, and 256 are told apart: a model is paid for "
            f"learning which occur. --data.levels {found} asks for those alone; the two do not compare."
        )


def describe_size(config: Config) -> str | None:
    """What model.size chose, in a line; None where it chose nothing.

    Example:
        >>> from dataclasses import replace
        >>> from jaxvae.runs.configs.model import ModelConfig
        >>> config = Config(model=ModelConfig(network="resnet", size="small"))
        >>> describe_size(replace(config, data=replace(config.data, image_shape=(28, 28, 1))))
        'Size small: --model.features 16 32 --model.blocks 1.'
    """
    if config.model.size == "own" or config.data.image_shape is None:
        return None
    found = sized(config.model, config.data.image_shape)
    features = " ".join(map(str, found.features))
    return f"Size {config.model.size}: --model.features {features} --model.blocks {found.blocks}."


def describe_validation(config: Config, training: int, validation: int) -> str:
    """How the training images are split, in a line."""
    return (
        f"Of the training {noun(config.data.kind, 2)} {training:,} are trained on; {validation:,}, drawn by the seed "
        f"{config.seed}, choose the epoch that is kept."
    )
