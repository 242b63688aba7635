"""What the model draws and what its latents carry."""

from collections.abc import Callable

import jax
import numpy as np

from jaxvae.evaluation import latents
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.latents import generation
from jaxvae.evaluation.latents.collapse import collapse_warning, has_collapsed, latent_use
from jaxvae.evaluation.latents.decoding import contexts_in_turn
from jaxvae.evaluation.plots.charts import kl_per_latent
from jaxvae.evaluation.plots.code_charts import codes
from jaxvae.evaluation.plots.figures import new_axes
from jaxvae.evaluation.plots.image_grids import unit_images
from jaxvae.evaluation.plots.rate_charts import kl_over_training
from jaxvae.evaluation.plots.table_charts import MOST
from jaxvae.models.contexts import context_of, count_examples
from jaxvae.models.meaning import draws_through_latents
from jaxvae.models.records import Model, Params
from jaxvae.runs.folder.pictures import kept_groups, partly_drawn, rows_again, rows_drawn
from jaxvae.runs.held_out import HeldOut
from jaxvae.runs.measure import EARLY
from jaxvae.runs.page.drawing import chart, images
from jaxvae.runs.page.facts import Facts, attempt
from jaxvae.runs.page.html import Html, absent, figures, note, section

POINTS, LATENTS, STEPS, SEED = 1500, 10, 11, 0


def pictures(facts: Facts) -> Html:
    """Draws, reconstructions, interpolations and traversals, as far as the model has them."""
    title = "What it draws"
    if facts.run is None:
        return section(title, absent(f"Nothing can be drawn. {facts.no_run}"))
    model, params, _ = facts.run
    kinds: list[Callable[[], Html]] = []
    test, of_rows = facts.held_out, facts.config.data.kind != "images"
    draws = model.draw is not None or model.prior.support != "none"
    if draws and not of_rows:
        kinds.append(lambda: _draws(model, params))
    if test is not None and of_rows:
        kinds += _rows(model, params, test)
    elif test is not None:
        if model.posterior.support != "none":
            kinds.append(lambda: _reconstructions(model, params, test))
        if latents.count_groups(model, params) and model.context is None:
            kinds.append(lambda: _partial_draws(model, params, test))
        if latents.one_vector(model, params) and latents.are_vectors(model, params):
            kinds.append(lambda: _interpolations(model, params, test))
            if model.prior.support == "real":
                kinds.append(lambda: _traversals(model, params, test))
    found = [attempt(kind) for kind in kinds]
    missing = [absent(f"A picture could not be drawn. {why}") for picture, why in found if picture is None]
    if not draws:
        missing.append(absent("There are no draws from a prior: this model, such as an autoencoder, has none."))
    if test is None:
        missing.append(absent(f"There are no reconstructions. {facts.no_held_out}"))
    return section(title, figures(*[picture for picture, _ in found if picture]), *missing)


def _rows(model: Model, params: Params, test: HeldOut) -> list[Callable[[], Html]]:
    """Rows of a table in its own units: drawn, and given back."""
    few = ", of the columns of largest variance" if test.x.shape[1] > MOST else ""
    kinds: list[Callable[[], Html]] = []
    if model.draw is not None or model.prior.support != "none":
        words = f"Test rows, and as many draws from the model, not selected, in the table's own units{few}."
        kinds.append(lambda: chart(rows_drawn(model, params, test)[0], "test rows and draws, by columns", words))
    if model.posterior.support != "none":
        words = f"Each column of some test rows against its reconstruction{few}."
        kinds.append(lambda: chart(rows_again(model, params, test)[0], "test rows and reconstructions", words))
    return kinds


def _draws(model: Model, params: Params) -> Html:
    context = contexts_in_turn(model, 48)
    means = model.to_unit(generation.means_or_draws(model, params, jax.random.key(SEED), 48, context=context))
    words = "" if context is None else ", one class after the other"
    kind = "The means of 48 draws from the prior" if draws_through_latents(model) else "48 draws"
    cells = np.asarray(means).reshape(4, 12, *model.event_shape)
    return images(cells, "images drawn by the model", f"{kind}, not selected{words}.")


def _reconstructions(model: Model, params: Params, test: HeldOut) -> Html:
    count = min(24, len(test.x)) // 12 * 12 or min(12, len(test.x))
    shown = test.some(count)
    again = np.asarray(model.to_unit(generation.reconstructions(model, params, shown.given(model))))
    kinds = [unit_images(name, each) for name, each in (shown.rows(model) | {"reconstructions": again}).items()]
    width = min(12, count)
    rows = [each.reshape(-1, width, *model.event_shape) for each in kinds]
    cells = np.stack(rows, axis=1).reshape(-1, width, *model.event_shape)
    return images(
        cells,
        "test images above reconstructions",
        f"Test images, and below each {'' if len(kinds) == 2 else 'what the model saw of it, and '}its reconstruction.",
        apart=len(kinds),
    )


def _partial_draws(model: Model, params: Params, test: HeldOut) -> Html:
    *kept, groups = kept_groups(latents.count_groups(model, params))
    cells = partly_drawn(model, params, test.some(3), kept, 9)
    listed = ", ".join(str(number) for number in kept)
    return images(
        cells.reshape(-1, *cells.shape[2:]),
        "test images, and draws that keep a part of their code",
        f"Test images, and right of each draws that keep the codes of the upper {listed} of its {groups} groups of "
        f"latents: what a row shares, those say.",
        apart=len(kept),
    )


def _interpolations(model: Model, params: Params, test: HeldOut) -> Html:
    rng = np.random.default_rng(SEED)
    ends = rng.permutation(len(test.x))[:8]
    half = len(ends) // 2
    if not half:
        raise ValueError("Between the codes of a single test image there is nothing to interpolate.")
    pairs = [ends[:half], ends[half : 2 * half]]
    if model.context is not None and test.labels is not None:  # a path keeps the class
        pairs[1] = np.array([rng.choice(np.flatnonzero(test.labels == test.labels[index])) for index in pairs[0]])
    a, b = (test.take(rows).given(model) for rows in pairs)
    way = "an arc" if model.posterior.support == "sphere" else "a line"
    between = generation.interpolate(model, params, a, b, STEPS)
    return images(
        np.asarray(model.to_unit(between)),
        "images that change from left to right",
        f"From one test image to another along {way} between their codes, {half} pairs drawn by chance.",
    )


def _traversals(model: Model, params: Params, test: HeldOut) -> Html:
    key = jax.random.key(test.seed)
    strengths = latents.measured_strengths(model, params, key, test.some(500).given(model))
    first = test.some(1).given(model)
    z, chosen = latents.posterior_means(model, params, first)[0], strengths.strongest(LATENTS)
    values = latents.gaussian_quantiles(STEPS)
    rows = [
        np.asarray(model.to_unit(generation.traverse(model, params, z, latent, values, context=context_of(first))))
        for latent in chosen
    ]
    listed = ", ".join(str(latent) for latent in chosen)
    return images(
        np.stack(rows),
        "a row of images for each latent",
        f"One latent moves from \N{MINUS SIGN}1.96 to 1.96, the others stay at the code of one test image. "
        f"Latents of largest {strengths.words}, from above: {listed}.",
    )


def latent_space(facts: Facts) -> Html:
    """KL of each latent, now and over training; whether the posterior has collapsed; the codes in a plane."""
    title = "Latents"
    if facts.run is None or facts.held_out is None:
        over = _over_training(facts)
        missing = absent(f"The latents could not be looked at. {facts.no_run or facts.no_held_out}")
        return section(title, figures(over) if over else Html(), missing)
    model, params, config = facts.run
    x, key = facts.held_out.some(1000).given(model), jax.random.key(facts.held_out.seed)
    values, why = attempt(lambda: per_example(model, params, key, x))
    if values is None:
        return section(title, absent(f"The latents could not be looked at. {why}"))
    if "kl_per_latent" not in values:
        return section(
            title, absent("This model, as a deterministic autoencoder, has no KL: codes carry what they can.")
        )
    use = latent_use(model, params, values["kl_per_latent"], x)
    used, count = int(use.active.sum()), use.active.size
    size = latents.one_vector(model, params)
    noun = "latents" if size else "groups of latents"
    if has_collapsed(use) and (steps := max((record["step"] for record in facts.train), default=EARLY)) < EARLY:
        verdict = note(f"{used} of {count} {noun} are in use ({use.by}), after {steps} steps: too early to judge.")
    elif has_collapsed(use):
        own = config.recipe.name is not None  # whose loss no config describes
        beta = config.objective.beta if config.objective.bound == "elbo" and not own else None
        remedies = ("--objective.warmup-epochs 10", "--objective.bound free_bits", "a smaller decoder")
        remedies = ("a KL warm-up", "free bits", "a smaller decoder") if own else remedies
        verdict = note(collapse_warning(use, beta=beta, remedies=remedies), warning=True)
    elif used == count:
        verdict = note(f"All {count} {noun} are in use ({use.by}); together they carry {use.kl.sum():.1f} nats.")
    else:
        verdict = note(
            f"{used} of {count} {noun} are in use ({use.by}); together they carry {use.kl.sum():.1f} nats. The others "
            f"stay at the prior, which is no fault: the model leaves aside what the data do not need."
        )
    figure, ax = new_axes(5.0, 3.0)
    kl_per_latent(use.kl, latents=size, ax=ax)
    each = "KL of each latent" if len(use.kl) == size or not size else f"KL of all {size} latents together"
    bars = chart(figure, each, f"Means over {count_examples(x):,} test {facts.held_out.noun}s.")
    drawn = [bars, _over_training(facts, each), _codes(model, params, facts.held_out, use.kl)]
    return section(title, verdict, figures(*[each for each in drawn if each]))


def _over_training(facts: Facts, each: str = "KL") -> Html:
    title = f"{each} over training"
    figure, ax = new_axes(5.0, 3.0)
    found, _ = attempt(lambda: kl_over_training(facts.train, title=title, ax=ax))
    return Html() if found is None else chart(figure, title, "Means over training steps.")


def _codes(model: Model, params: Params, test: HeldOut, kl: np.ndarray) -> Html:
    """The codes in the plane of the two strongest latents; nothing where there is no such plane."""
    if latents.one_vector(model, params) < 2:
        return Html()
    shown = test.some(POINTS)
    strengths = latents.latent_strengths(model, params, kl, shown.given(model))
    first, second = strengths.strongest(2)
    means, normal = latents.posterior_means(model, params, shown.given(model)), model.prior.distribution is not None
    figure, ax = new_axes(5.0, 4.6)
    codes(means, shown.classes, (first, second), circles=normal, title=f"Codes of test {test.noun}s", ax=ax)
    circles = "; circles of radius 1 and 2 hold 39 % and 86 % of the prior" if normal else ""
    return chart(
        figure,
        "posterior means in the plane of two latents",
        f"Posterior means of {len(means):,} test {test.noun}s, the two latents of largest {strengths.words}{circles}.",
    )
