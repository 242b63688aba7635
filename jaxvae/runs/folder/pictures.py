"""The pictures of a run: what one would look at first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxvae.evaluation import latents, plots
from jaxvae.evaluation.latents import generation
from jaxvae.evaluation.latents.decoding import contexts_in_turn
from jaxvae.evaluation.plots import rate_charts
from jaxvae.files import make_folder
from jaxvae.models.meaning import draws_through_latents
from jaxvae.models.records import Model, Params
from jaxvae.runs.folder.metrics import split_records
from jaxvae.runs.held_out import HeldOut

SEED = 0
ROWS = 1000  # of a table in a picture
Pictures = dict[str, Callable[[], tuple[Any, Any]]]


def draw_pictures(
    folder: Path,
    model: Model,
    params: Params,
    test: HeldOut,
    kl_per_latent: np.ndarray,
    metrics: Path,
    say: Callable[[str], None],
    kept: int | None = None,
) -> list[Path]:
    """Writes the pictures of a run into a folder and returns their paths.

    Args:
        folder: where to write; made if need be.
        model, params: the trained model.
        test: the held-out images, or rows of a table.
        kl_per_latent: [L], nats, averaged over test images: of each latent, or one number for all; L = 0 for an
            autoencoder.
        metrics: the run's metrics.jsonl.
        say: is given one line.
        kept: the epoch that validation images chose.
    """
    make_folder(folder)
    records = split_records(metrics)
    if records.damaged:
        say(f"{metrics}: {records.damaged} damaged line(s) were left out of the pictures.")
    logged = records.train, records.test, records.validation
    pictures: Pictures = {"curves": lambda: plots.loss_curves(*logged, kept=kept, x="epoch")}
    pictures |= (_of_images if test.columns is None else _of_rows)(model, params, test)
    count = latents.one_vector(model, params)
    if len(kl_per_latent):
        pictures["kl_per_latent"] = lambda: plots.kl_per_latent(kl_per_latent, latents=count)
        pictures["kl_over_training"] = lambda: rate_charts.kl_over_training(records.train, latents=count)
        if latents.count_groups(model, params) > 2:
            pictures["kl_of_groups"] = lambda: rate_charts.kl_of_groups(records.train)
    if len(kl_per_latent) and count >= 2:
        some = test.some(1000).given(model)
        first, second = latents.latent_strengths(model, params, kl_per_latent, some).strongest(2)
        plane, normal = (first, second), model.prior.distribution is not None
        means = latents.posterior_means(model, params, test.given(model))
        pictures["codes"] = lambda: plots.codes(means, test.classes, plane, circles=normal)
        if normal and test.columns is None:  # whose quantiles the grid covers
            context = None if model.context is None else 0
            pictures["manifold"] = lambda: plots.manifold(
                model.to_unit(generation.manifold(model, params, plane, 20, context=context)),
                latents.gaussian_quantiles(20),
                plane,
                title="The latent plane"
                + (f", the other {count - 2} latents 0" if count > 2 else "")
                + ("" if context is None else f", class {context}"),
            )
    paths = []
    for name, draw in pictures.items():
        try:
            figure, _ = draw()
        except ValueError as error:
            if name not in ("curves", "kl_over_training", "kl_of_groups"):
                raise
            say(f"{name}.png was not drawn: {error}")  # a damaged log is no reason to fail: the run itself is whole
            continue
        paths.append(plots.save(figure, folder / f"{name}.png"))
    say(f"Pictures: {', '.join(path.name for path in paths)} in {folder}")
    return paths


def _of_images(model: Model, params: Params, test: HeldOut) -> Pictures:
    """Reconstructions, interpolations and draws, as far as the model has them."""
    shown, unit, pictures = test.some(12), model.to_unit, Pictures()
    pairs = _pairs(test, 5, same=model.context is not None)
    ends = [test.take(rows).given(model) for rows in pairs]
    if model.posterior.support != "none":
        pictures["reconstructions"] = lambda: plots.compare(
            shown.rows(model) | {"reconstruction": unit(generation.reconstructions(model, params, shown.given(model)))},
            title="Reconstructions",
        )
    if latents.one_vector(model, params) and latents.are_vectors(model, params):
        pictures["interpolations"] = lambda: plots.interpolations(
            unit(generation.interpolate(model, params, ends[0], ends[1], 9)),
            test.raw[pairs[0]],
            test.raw[pairs[1]],
        )
    if latents.count_groups(model, params) and model.context is None:
        kept = kept_groups(latents.count_groups(model, params))
        pictures["partial_draws"] = lambda: plots.partial_draws(
            partly_drawn(model, params, test.some(3), kept[:-1], 9), kept[:-1], kept[-1]
        )
    if model.draw is not None or model.prior.support != "none":
        key = jax.random.key(SEED)
        pictures["prior_samples"] = lambda: plots.image_grid(
            unit(generation.means_or_draws(model, params, key, 60, context=contexts_in_turn(model, 60))),
            columns=12,
            title=("Decoded draws from the prior" if draws_through_latents(model) else "Draws")
            + ("" if model.context is None else ", one class after the other"),
        )
    return pictures


def kept_groups(groups: int) -> list[int]:
    """Numbers of upper groups to keep in a picture, few of them, and all: as many drawn groups as before, halved.

    Example:
        >>> kept_groups(2), kept_groups(7), kept_groups(40)
        ([0, 1, 2], [0, 4, 6, 7], [0, 20, 30, 40])
    """
    return sorted({0, groups // 2 + groups % 2 if groups > 2 else 1, groups - max(1, groups // 4), groups})


def partly_drawn(model: Model, params: Params, shown: HeldOut, kept: list[int], draws: int) -> np.ndarray:
    """Test images, and beside each its draws with so many upper groups kept, [N, R, 1 + draws, H, W, C]."""
    x = shown.given(model)
    one = [latents.partial_draws(model, params, jax.random.key(SEED), x, number, draws) for number in kept]
    anew = np.asarray(model.to_unit(np.stack(one, 1)))
    first = np.asarray(model.to_unit(x))[:, None, None]
    return np.concatenate([np.broadcast_to(first, (*anew.shape[:2], 1, *anew.shape[3:])), anew], 2)


def _of_rows(model: Model, params: Params, test: HeldOut) -> Pictures:
    """The same of a table, in its own units: columns against each other, and against their reconstructions."""
    pictures = Pictures()
    if model.posterior.support != "none":
        pictures["reconstructions"] = lambda: rows_again(model, params, test)
    if model.draw is not None or model.prior.support != "none":
        pictures["prior_samples"] = lambda: rows_drawn(model, params, test)
    return pictures


def rows_again(model: Model, params: Params, test: HeldOut) -> tuple[Any, Any]:
    """A figure of some test rows of a table against their reconstructions."""
    assert test.columns is not None
    shown = test.some(ROWS)
    again = test.columns.to_values(generation.reconstructions(model, params, shown.given(model)))
    chosen, title = plots.most_varying(test.x), "Reconstructions of test rows"
    return plots.column_reconstructions(shown.raw, again, test.columns.names, columns=chosen, title=title)


def rows_drawn(model: Model, params: Params, test: HeldOut) -> tuple[Any, Any]:
    """A figure of the test rows of a table and as many draws from the model."""
    assert test.columns is not None
    count = min(len(test.x), ROWS)
    draws = generation.draw(model, params, jax.random.key(SEED), count, context=contexts_in_turn(model, count))
    groups = {"test rows": test.raw, "draws": test.columns.to_values(draws)}
    chosen, title = plots.most_varying(test.x), "Test rows and draws from the model"
    return plots.column_pairs(groups, test.columns.names, columns=chosen, title=title)


def _pairs(test: HeldOut, count: int, *, same: bool) -> np.ndarray:
    """Indices [2, count] of pairs to interpolate, of different classes where labels are known; or of the same."""
    rng = np.random.default_rng(SEED)
    if test.labels is None:
        return rng.integers(0, len(test.x), (2, count))
    first = rng.permutation(len(test.x))[:count]
    second = []
    for index in first:
        others = np.flatnonzero((test.labels == test.labels[index]) == same)
        second.append(rng.choice(others) if len(others) else index)
    return np.stack([first, np.array(second)])
