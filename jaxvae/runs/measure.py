"""Looking at latents while a model trains, at draws afterwards, and a word where they have collapsed."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data.splits import some_rows
from jaxvae.evaluation.latents.collapse import CollapseWarning, LatentUse, collapse_warning, has_collapsed, latent_use
from jaxvae.models.contexts import Labelled, count_examples
from jaxvae.models.records import Model, Params
from jaxvae.runs.configs.config import ObjectiveConfig
from jaxvae.runs.held_out import HeldOut
from jaxvae.training.engine.step import Preprocess

EXAMPLES = 500  # images that tell which latents are in use
EARLY = 100  # steps before which latents that carry nothing are not collapsed: nothing is learned yet
QUIET = 0.1  # nats: latents of a larger KL, a mean over an epoch, are no reason to look closer


class CollapseWatch:
    """Looks at the latents after an epoch and says once, in a line, that they have collapsed."""

    def __init__(self, model: Model, objective: ObjectiveConfig | None, test: HeldOut, say: Callable[[str], None]):
        self.model, self.objective, self.test, self.say = model, objective, test.some(EXAMPLES), say
        self.warned = False

    def look(self, params: Params, values: Mapping[str, np.ndarray], epoch: int, step: int) -> dict[str, Any]:
        """Warns if it must; returns kl_per_latent and active_units for the record, {} for a model without latents to
        collapse.

        Args:
            params: of the model.
            values: of `per_example` on the test images, or some.
            epoch, step: how many are done; nothing is warned of before step `EARLY`.
        """
        kl = values.get("kl_per_latent")
        if kl is None or self.model.evidence != "weights":
            return {}
        use = latent_use(self.model, params, kl, self.test.given(self.model))
        if step >= EARLY and has_collapsed(use) and not self.warned:
            self.warned = True
            bound = self.objective
            beta = bound.beta if bound is not None and bound.bound == "elbo" else None
            remedies = ("a KL warm-up", "free bits", "a smaller decoder") if bound is None else _options(bound)
            words = collapse_warning(use, beta=beta, remedies=remedies)
            self.say(f"Warning after epoch {epoch}: {words}")
        # Under a mixture or a flow the KL is one number for all latents; how many there are is said beside it.
        active = {"active_units": int(use.active.sum()), "latents": int(use.active.size)}
        return {"kl_per_latent": use.kl.tolist(), **active}


def collapse_warner(
    model: Model, data: Any, preprocess: Preprocess, *, warmup_steps: int
) -> Callable[[Params, Mapping[str, Any]], None]:
    """look(params, record), which warns once by `CollapseWarning` where the latents of a `fit` have collapsed.

    It costs nothing while the KLs of the record are large; else some training examples are encoded. Before step `EARLY`
    it says nothing.

    Args:
        model: what is trained.
        data: raw examples [N, ...], or `Labelled` of them.
        preprocess: (key, raw example without its label) -> x.
        warmup_steps: what it recommends.
    """
    warned = False

    def look(params: Params, record: Mapping[str, Any]) -> None:
        nonlocal warned
        kl = np.asarray(record.get("kl_per_latent") or (), np.float64)
        if record.get("step", EARLY) < EARLY:
            return
        if warned or model.evidence != "weights" or kl.ndim != 1 or not has_collapsed(LatentUse(kl, kl > QUIET, "")):
            return
        rows = some_rows(count_examples(data), EXAMPLES)
        use = latent_use(model, params, kl, seen(model, jax.tree.map(lambda leaf: leaf[rows], data), preprocess))
        if has_collapsed(use):
            warned = True
            remedies = (
                "a smaller weight of the KL, if the loss has one above 1",
                f"a warm-up, loss=jaxvae.bound_loss(model, beta=jaxvae.training.kl_warmup({warmup_steps}))",
                "free bits, loss=jaxvae.losses.batch_bound_loss(model, jaxvae.objectives.free_bits_bound, "
                "free_nats=0.25)",
                "a smaller decoder",
            )
            words = collapse_warning(use, remedies=remedies)
            # The fourth caller is the one who wrote fit(...).
            warnings.warn(f"after epoch {record['epoch']}: {words}", CollapseWarning, stacklevel=4)

    return look


def seen(model: Model, data: Any, preprocess: Preprocess) -> Any:
    """Examples as the model sees them, one fixed draw, with their labels if it takes any."""
    some = jax.tree.map(jnp.asarray, data)
    raw = some.value if isinstance(some, Labelled) else some
    x = jax.vmap(preprocess)(jax.random.split(jax.random.key(0), len(raw)), raw)
    return Labelled(x, some.context) if model.context is not None else x


def look_at_draws(model: Model, params: Params, test: HeldOut, say: Callable[[str], None]) -> dict[str, Any]:
    """Recall and coverage of draws at the test pictures, of a model that says nothing else of them, a GAN; else {}.

    Of a generator that draws one picture only, no loss tells it; a collapse is said in words.

    Args:
        model, params: what is judged.
        test: the test images, of which at most `EXAMPLES` are taken, and as many draws.
        say: is given a line.
    """
    picture = test.columns is None and test.raw.shape[-1] in (1, 3)
    draws = model.draw is not None or model.prior.support != "none"
    silent = model.evidence == "none" and model.posterior.support == "none"
    if not (picture and draws and silent and len(test.x) >= 20):
        return {}
    from jaxvae.evaluation.latents import generation
    from jaxvae.evaluation.latents.decoding import contexts_in_turn
    from jaxvae.evaluation.measured import SampleSetting
    from jaxvae.evaluation.samples.features import flat_pixels
    from jaxvae.evaluation.samples.scores import manifold_scores
    from jaxvae.evaluation.samples.variety import collapse_in_words

    shown = test.some(EXAMPLES)
    count, key = len(shown.x), jax.random.key(test.seed)
    drawn = generation.means_or_draws(model, params, key, count, context=contexts_in_turn(model, count))
    images, real = (flat_pixels(np.clip(np.asarray(model.to_unit(x), np.float32), 0, 1)) for x in (drawn, shown.x))
    setting = SampleSetting("pixels", "draws", count, "test", count, test.seed)
    scores = manifold_scores(images, real, setting)
    found = {score.name: score for score in scores}
    of = f"of {count} draws at {count} test {test.noun}s, by their pixels"
    say(f"{', '.join(f'{name} {score.number}' for name, score in found.items())} {of}.")
    if words := collapse_in_words(scores):
        say(f"Warning: {words}.")
    rows = {name: score.as_row() for name, score in found.items()}
    numbers = {name: {"value": one.value, "standard_error": one.standard_error} for name, one in rows.items()}
    return {"draws": {"count": count, "features": "pixels", **numbers, "collapse": words}}


def _options(objective: ObjectiveConfig) -> tuple[str, ...]:
    """What to do about a collapse, as options of the command line; not what the run does already."""
    options = []
    if objective.warmup_epochs == 0:
        options.append("a KL warm-up (--objective.warmup-epochs 10)")
    if objective.bound != "free_bits":
        options.append("free bits (--objective.bound free_bits --objective.free-bits 0.25)")
    else:
        options.append(f"more free bits (--objective.free-bits, now {objective.free_bits:g})")
    return (*options, "a smaller decoder")
