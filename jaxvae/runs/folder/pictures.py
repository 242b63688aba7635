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
from jaxvae.models.records import Model, Params
from jaxvae.runs.folder.metrics import split_records
from jaxvae.runs.held_out import HeldOut

SEED = 0


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
        test: the held-out images.
        kl_per_latent: [L], nats, averaged over test images: of each latent, or one number for all; L = 0 for an
            autoencoder.
        metrics: the run's metrics.jsonl.
        say: is given one line.
        kept: the epoch that validation images chose.
    """
    make_folder(folder)
    shown, unit = test.some(12), model.to_unit
    pairs = _pairs(test, 5, same=model.context is not None)
    ends = [test.take(rows).given(model) for rows in pairs]
    context = None if model.context is None else 0  # the class of the manifold
    records = split_records(metrics)
    if records.damaged:
        say(f"{metrics}: {records.damaged} damaged line(s) were left out of the pictures.")
    logged = records.train, records.test, records.validation
    pictures: dict[str, Any] = {"curves": lambda: plots.loss_curves(*logged, kept=kept, x="epoch")}
    if model.posterior.support != "none":
        pictures["reconstructions"] = lambda: plots.compare(
            shown.rows(model) | {"reconstruction": unit(generation.reconstructions(model, params, shown.given(model)))},
            title="Reconstructions",
        )
    count = latents.one_vector(model, params)
    if count and latents.are_vectors(model, params):
        pictures["interpolations"] = lambda: plots.interpolations(
            unit(generation.interpolate(model, params, ends[0], ends[1], 9)),
            test.images[pairs[0]],
            test.images[pairs[1]],
        )
    if model.prior.support != "none":
        pictures["prior_samples"] = lambda: plots.image_grid(
            unit(generation.prior_means(model, params, jax.random.key(SEED), 60, context=contexts_in_turn(model, 60))),
            columns=12,
            title="Decoded draws from the prior" + ("" if model.context is None else ", one class after the other"),
        )
    if len(kl_per_latent):
        pictures["kl_per_latent"] = lambda: plots.kl_per_latent(kl_per_latent, latents=count)
        pictures["kl_over_training"] = lambda: rate_charts.kl_over_training(records.train, latents=count)
    if len(kl_per_latent) and count >= 2:
        some = test.some(1000).given(model)
        first, second = latents.latent_strengths(model, params, kl_per_latent, some).strongest(2)
        plane, normal = (first, second), model.prior.distribution is not None
        means = latents.posterior_means(model, params, test.given(model))
        pictures["codes"] = lambda: plots.codes(means, test.labels, plane, circles=normal)
        if normal:  # whose quantiles the grid covers
            pictures["manifold"] = lambda: plots.manifold(
                unit(generation.manifold(model, params, plane, 20, context=context)),
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
            if name not in ("curves", "kl_over_training"):
                raise
            say(f"{name}.png was not drawn: {error}")  # a damaged log is no reason to fail: the run itself is whole
            continue
        paths.append(plots.save(figure, folder / f"{name}.png"))
    say(f"Pictures: {', '.join(path.name for path in paths)} in {folder}")
    return paths


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
