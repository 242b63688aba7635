"""Data, model and compiled steps of a run: what there is to train, before any folder or loop."""

from typing import NamedTuple

import jax

from jaxvae.models.records import Model
from jaxvae.runs.builders.from_config import build_model, build_recipe
from jaxvae.runs.builders.objective import with_judge
from jaxvae.runs.builders.recipe import Recipe, Training, check_fits, told_labels, training_of
from jaxvae.runs.choices.usual import settled
from jaxvae.runs.configs.config import Config, ModelConfig
from jaxvae.runs.examples import blank_example
from jaxvae.runs.folder.sampling import sampled
from jaxvae.runs.held_out import RunData, load_run_data
from jaxvae.training.engine.parallel import CompiledSteps, compile_steps
from jaxvae.training.engine.state import TrainState, compiled_init


class Assembled(NamedTuple):
    """What a run trains.

    Attributes:
        data: with its config, in which the data are noted.
        recipe: the model and how it is trained.
        parts: the same as `compile_steps` takes it.
        compiled: the steps.
        per_epoch: how many of them an epoch has.
    """

    data: RunData
    recipe: Recipe
    parts: Training
    compiled: CompiledSteps
    per_epoch: int

    def start(self) -> TrainState:
        """The state of step 0."""
        init = compiled_init(self.recipe.model, self.parts.optimizer, ema=self.recipe.ema is not None)
        return init(jax.random.key(self.data.config.seed), blank_example(self.recipe.model))


def model_of(data: RunData, config: ModelConfig) -> Model:
    """The model that a config names for the data of a run, whose parameters may start from them."""
    raw, told = data.raw, data.config.data
    return build_model(config, raw.shape[1:], raw, classes=told.classes, levels=told.levels, protocol=told.protocol)


def assemble(config: Config, own: Recipe | None) -> Assembled:
    """Loads the data and builds what is trained on them; nothing is written, and no step is made.

    Args:
        config: of the run.
        own: the recipe of a run of a function; None where the config describes it.

    Raises:
        ValueError, FileNotFoundError: for data that cannot be loaded, do not fit the model, or cannot be sampled.
    """
    found = load_run_data(config, told_labels(own))
    config = with_judge(found.config)
    found = found._replace(config=settled(config) if own is None else config)
    config, raw = found.config, found.raw
    per_epoch = len(raw) // config.batch_size
    recipe = own
    if recipe is None:
        recipe = build_recipe(config, model_of(found, config.model), per_epoch)
    check_fits(recipe, config)
    if recipe.model.context is not None:
        recipe.model.context.check(found.examples.context, f"the labels of {config.data.name}")
    sampled(config, recipe.model, found.examples)  # refuses what cannot be sampled before the folder is claimed
    parts = training_of(recipe, config)
    compiled = compile_steps(
        *parts,
        batch_size=config.batch_size,
        steps_per_call=min(per_epoch, 2000),
        ema=recipe.ema,
        mode=config.parallel,
        skip_above=config.optim.skip_above,
    )
    return Assembled(found, recipe, parts, compiled, per_epoch)
