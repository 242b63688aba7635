"""What a field of None means: the usual number of a kind of model, written out when a run begins."""

from dataclasses import replace
from typing import TYPE_CHECKING

from jaxvae.runs.choices.kinds import KINDS

if TYPE_CHECKING:
    from jaxvae.runs.configs.config import Config

B1 = 0.9  # Kingma and Ba, 2015


def settled(config: "Config") -> "Config":
    """The same config with the usual numbers in the place of None.

    A run keeps them in its config.json: a later version with another usual number then goes on with it only if told so.

    Example:
        >>> from jaxvae.runs.configs.config import Config, ModelConfig
        >>> found = settled(Config(model=ModelConfig("vq")))
        >>> found.model.weight, found.optim.b1
        (0.25, 0.9)
    """
    usual = {"optim.b1": B1, **KINDS[config.model.kind].usual}
    if config.optim.name == "sgd":
        del usual["optim.b1"]
    for path, value in usual.items():
        part, name = path.split(".")
        of = getattr(config, part)
        if getattr(of, name) is None:
            number = value(config.model) if callable(value) else value
            config = replace(config, **{part: replace(of, **{name: number})})
    return config
