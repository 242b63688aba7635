"""What a run needs, whoever describes it: a config does, and so does a function of your own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import optax

from jaxvae.data.augmentation import flipped, jittered, shifted
from jaxvae.data.dataset import Dataset
from jaxvae.models.records import Model, as_model
from jaxvae.networks.precision import at_precision
from jaxvae.runs.builders.brought import bring
from jaxvae.runs.choices.data import PROTOCOLS
from jaxvae.runs.choices.records import Told
from jaxvae.runs.configs.config import Config, DataConfig, Protocol
from jaxvae.runs.configs.names import unknown
from jaxvae.runs.configs.recipes import file_digest, noted, options_of, say_changed
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.given_data import preprocess_of
from jaxvae.training.engine.optimizers import as_optimizer, make_optimizer
from jaxvae.training.engine.spikes import skip_spikes
from jaxvae.training.engine.step import Preprocess, labelled
from jaxvae.training.losses.accumulation import micro_batches
from jaxvae.training.losses.bound import Loss, as_loss, bound_loss


class Recipe(NamedTuple):
    """A model, its training and its data: all that a run needs beside epochs, batches and a seed.

    A function of keyword arguments with defaults that returns one is a run: `jaxvae train my_file.py:make`, or
    `train_run(Config(), "runs/mine", recipe=make)`. The arguments are its options, and are kept in config.json.

    Attributes:
        model: such as `vae(...)`, for images of the data's shape; one that takes labels is given those of the data.
        data: the name or path of images, as `jaxvae.data.load` takes it, or a `DataConfig` with more about them; or
            (train, test), two of `jaxvae.data.Dataset`, which the function then returns again where the run is opened.
        protocol: how pixels become x: "grey", "threshold", "dynamic", "levels" or "dequantize"; "standardize" for a
            table, "counts" for counts.
        loss: (params, keys, batch, step) -> (scalar, metrics); None is minus the ELBO.
        optimizer: an Optax transformation; None is Adam at 1e-3.
        ema: decay of a moving average of the parameters, which is then what is measured and kept; None keeps none.

    Example:
        >>> import jaxvae
        >>> def make(latent_dim: int = 2) -> Recipe:
        ...     networks = jaxvae.MLPEncoder(latent_dim, (32,)), jaxvae.MLPDecoder((8, 8, 1), hidden=(32,))
        ...     model = jaxvae.vae(*networks, event_shape=(8, 8, 1), latent_dim=latent_dim)
        ...     return Recipe(model, "digits", "threshold")
        >>> made(make, noted(make, Config())).protocol
        'threshold'
    """

    model: Model
    data: str | DataConfig | tuple[Dataset, Dataset]
    protocol: Protocol
    loss: Loss | None = None
    optimizer: optax.GradientTransformation | None = None
    ema: float | None = None


class Training(NamedTuple):
    """What `compile_steps` needs."""

    loss: Loss
    optimizer: optax.GradientTransformation
    preprocess: Preprocess


Make = Callable[..., Recipe]


def made(make: Make, config: Config) -> Recipe:
    """Calls the function with the options that a config keeps, and checks what it returns.

    Raises:
        TypeError: for what is no function, no recipe, has no model in it or no data.
        ValueError: for an unknown protocol, or training and test data that do not fit.
    """
    recipe = make(**options_of(config.recipe))
    if not isinstance(recipe, Recipe):
        raise TypeError(f"{config.recipe.name} returned a {type(recipe).__name__}, expected a jaxvae.runs.Recipe.")
    as_model(f"the model of {config.recipe.name}", recipe.model)
    if recipe.protocol not in PROTOCOLS:
        raise ValueError(unknown("protocol", recipe.protocol, PROTOCOLS))
    if recipe.loss is not None:
        as_loss(recipe.loss)
    if recipe.optimizer is not None:
        as_optimizer(recipe.optimizer)
    if not isinstance(recipe.data, str | DataConfig):
        name = bring(str(config.recipe.name), recipe.data)
        kind, fits = recipe.data[0].kind, [name for name, one in PROTOCOLS.items() if one.kind == recipe.data[0].kind]
        if recipe.protocol not in fits:
            raise ValueError(
                f"the data of {config.recipe.name} are {kind}, of which the protocol {recipe.protocol!r} makes no x, "
                f"expected {' or '.join(fits) or 'images, a table or counts'}."
            )
        recipe = recipe._replace(data=name)
    return recipe


def told_labels(recipe: Recipe | None) -> Told | None:
    """Which labels the model of a recipe is told: all that the data have, or none; None where the config says it."""
    if recipe is None:
        return None
    return "none" if recipe.model.context is None else "all"


def as_described(config: Config, folder: Any, make: Make | None) -> tuple[Config, Recipe | None]:
    """(config with all that is noted in it, recipe) of a run of a function; (config, None) of any other.

    Raises:
        ValueError, TypeError: as `opened` and `made`, and for options of the config that a recipe's run does not read.
    """
    if make is None:
        return config, opened(config, folder, None, print)
    config = noted(make, config)
    recipe = made(make, config)
    return validate(with_recipe(config, recipe)), recipe


def opened(config: Config, folder: Any, make: Make | None, say: Callable[[str], None]) -> Recipe | None:
    """The recipe of a run that is opened again; None for a run that its config describes.

    Args:
        config: of the run.
        folder: where it lies.
        make: the function, or None.
        say: is told in a line that the file is another one now.

    Raises:
        ValueError: for a recipe's run without its function, which a folder does not run by itself; or the reverse.
    """
    name = config.recipe.name
    if make is None:
        if name is not None:
            raise ValueError(
                f"{folder} is a run of {name}, and no folder runs code by itself: pass the function, "
                f"jaxvae.load({str(folder)!r}, recipe={name.rpartition(':')[2]}), or --recipe {name}."
            )
        return None
    if name is None:
        raise ValueError(f"{folder} is no run of a recipe: its config describes its model. Leave recipe out.")
    recipe = made(make, config)
    say_changed(config.recipe, file_digest(make), say)
    return recipe


def check_fits(recipe: Recipe, config: Config) -> None:
    """Raises `ValueError` for a model that takes other images than there are, or labels of other classes."""
    expected, found = recipe.model.event_shape, config.data.image_shape
    if expected != found:
        raise ValueError(
            f"the model takes examples of shape {expected}, but those of {config.data.name} have {found}. Build "
            f"it with event_shape={found}."
        )
    context, there = recipe.model.context, config.data.classes
    if context is not None and context.classes not in (None, there):
        raise ValueError(
            f"the model takes labels of {context.classes} classes, but {config.data.name} has {there}. Build it with "
            f"context={there}, or give the data as many class_names."
        )


def with_recipe(config: Config, recipe: Recipe) -> Config:
    """The config of a run of this recipe: its data, their protocol and its average are written into it."""
    data = recipe.data if isinstance(recipe.data, DataConfig) else replace(config.data, name=str(recipe.data))
    data = replace(data, protocol=recipe.protocol, kind=PROTOCOLS[recipe.protocol].kind)
    return replace(config, data=data, optim=replace(config.optim, ema=recipe.ema))


def training_of(recipe: Recipe, config: Config) -> Training:
    """What a recipe trains with, as a config asks: at its precision, in its micro-batches, of changed images."""
    loss = at_precision(bound_loss(recipe.model) if recipe.loss is None else recipe.loss, config.precision)
    if config.micro_batch is not None:
        loss = micro_batches(loss, config.micro_batch)
    optimizer = make_optimizer() if recipe.optimizer is None else recipe.optimizer
    if config.optim.skip_ratio is not None:
        optimizer = skip_spikes(optimizer, config.optim.skip_ratio)
    preprocess = preprocess_of(config.data.protocol, config.data.levels)
    if config.data.jitter:
        preprocess = jittered(preprocess, config.data.jitter)
    if config.data.shift:
        preprocess = shifted(preprocess, config.data.shift)
    if config.data.flip:
        preprocess = flipped(preprocess)
    return Training(loss, optimizer, preprocess if recipe.model.context is None else labelled(preprocess))
