"""What a run measures of its test images, after an epoch and at its end, and of its validation images."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.evaluation.bounds.likelihood import per_example, summarize
from jaxvae.evaluation.latents import generation
from jaxvae.evaluation.latents.decoding import contexts_in_turn
from jaxvae.evaluation.plots.image_grids import unit_images
from jaxvae.evaluation.statistics import Estimate
from jaxvae.models.records import Model, Params
from jaxvae.runs import measure
from jaxvae.runs.configs.config import Config
from jaxvae.runs.held_out import HeldOut
from jaxvae.runs.selection import Selection
from jaxvae.runs.summary import chosen, compared, make_summary, rounded
from jaxvae.training.engine.state import TrainState

SHOWN = 8  # test images of a tracker's picture
WATCHED = 10  # epochs after each of which the latents are looked at, measured or not; later where they are measured


Measured = tuple[dict[str, Estimate], Mapping[str, Any]]


class Testing(NamedTuple):
    """The test images of a run, and what looks at its latents."""

    config: Config
    model: Model
    test: HeldOut
    watch: measure.CollapseWatch

    def after_epoch(self, params: Params, epoch: int, step: int) -> Measured | None:
        """(estimates, which latents are in use) after an epoch that asks for them."""
        if epoch % self.config.evaluate_every:
            if epoch <= WATCHED:
                self.watch.look(params, self.per_example(params, measure.EXAMPLES), epoch, step)
            return None
        if not (values := self.per_example(params)):
            return None
        return summarize(values), self.watch.look(params, values, epoch, step)

    def per_example(self, params: Params, count: int | None = None) -> dict[str, np.ndarray]:
        """Bounds on the test images, or `count` of them: the same draw and the same posterior noise each time."""
        if self.model.evidence == "none" and self.model.posterior.support == "none":
            return {}  # a GAN
        test = self.test if count is None else self.test.some(count)
        return per_example(
            self.model, params, jax.random.key(test.seed), test.given(self.model), samples=self.config.test_samples
        )

    def pictures(self, params: Params) -> dict[str, np.ndarray]:
        """uint8 [H, W, C] of what a tracker shows: draws from the prior, and test images above their reconstructions.

        They are few, and the noise is the same each time; {} for rows of a table, and images of other than 1 or 3
        channels.
        """
        model, shown = self.model, self.test.some(SHOWN)
        if self.test.columns is not None or self.test.raw.shape[-1] not in (1, 3):
            return {}
        found: dict[str, list[np.ndarray]] = {}
        if model.posterior.support != "none":
            again = model.to_unit(generation.reconstructions(model, params, shown.given(model)))
            found["reconstructions"] = [unit_images("images", images) for images in (shown.raw, again)]
        if model.draw is not None or model.prior.support != "none":
            key, context = jax.random.key(self.test.seed), contexts_in_turn(model, 2 * SHOWN)
            draws = generation.means_or_draws(model, params, key, 2 * SHOWN, context=context)
            found["samples"] = np.split(unit_images("images", model.to_unit(draws)), 2)
        rows = {name: np.concatenate([np.concatenate(list(row), 1) for row in rows]) for name, rows in found.items()}
        return {name: np.round(255 * row).astype(np.uint8) for name, row in rows.items()}

    def summarize(
        self, state: TrainState, params: Params, epochs: float, selection: Selection | None, say: Callable[[str], None]
    ) -> dict[str, Any]:
        """What summary.json holds of `params`: the last ones of the state, their average, or those that were chosen.

        Where all of it is of an average of the last epoch, the last weights are measured as well.
        """
        values, step, decay = self.per_example(params), int(state.step), self.config.optim.ema
        use, samples = self.watch.look(params, values, int(epochs), step), self.config.test_samples
        summary = make_summary(params, values, use, self.test, step=step, epochs=epochs, samples=samples)
        summary.update(measure.look_at_draws(self.model, params, self.test, say))
        summary.update(rounded(self.config.model, self.model, params, jax.random.key(self.test.seed), say))
        if selection is not None:
            summary["validation"] = chosen(selection, self.config, epochs)
        elif decay is not None and values:
            summary.update(compared(values, self.per_example(state.params), decay, say, self.test.noun))
        return summary


def selection_of(config: Config, model: Model, validation: HeldOut | None) -> Selection | None:
    """What chooses the epoch of a run by its validation images: one posterior sample each, the same noise every time.

    It is the same whatever is measured of the test images, and how often.
    """
    if validation is None:
        return None
    key, x = jax.random.key(validation.seed), validation.given(model)
    return Selection(lambda params: per_example(model, params, key, x), len(validation.x), config.patience)
