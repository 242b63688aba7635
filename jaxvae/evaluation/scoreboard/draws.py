"""Draws of a contender: how fast they come, and how they look beside the test images."""

import time

import jax
import numpy as np

from jaxvae.evaluation.latents.generation import draw
from jaxvae.evaluation.samples.features import flat_pixels
from jaxvae.evaluation.samples.scores import sample_scores
from jaxvae.evaluation.scoreboard.copying import copied_share
from jaxvae.evaluation.scoreboard.judged import Judged, as_pictures
from jaxvae.evaluation.scoreboard.records import Cell, cell
from jaxvae.evaluation.statistics import mean_and_error
from jaxvae.models.records import Model, Params

BATCH, TURNS, STRIP = 100, 5, 16
# What `sample_scores` calls them, and the column.
SCORES = {
    "recall": "recall",
    "coverage": "coverage",
    "precision": "precision",
    "density": "density",
    "Frechet distance": "frechet",
    "kernel distance": "kernel",
    "Inception Score": "inception",
}


def draw_many(model: Model, params: Params, judged: Judged) -> tuple[np.ndarray, dict[str, Cell]]:
    """Draws as whole numbers [draws, ...], and how many come in a second of processor time, one by one and at once."""
    key, found = jax.random.key(judged.setting.seed), {}
    machine = f"a second of processor time, all cores together, {jax.devices()[0].device_kind}"
    for name, count in (("one", 1), ("many", -(-judged.draws // TURNS))):
        draw(model, params, key, count, batch_size=BATCH)  # compiles
        rates, drawn = [], []
        for turn in range(TURNS):
            start = time.process_time()
            drawn.append(draw(model, params, jax.random.fold_in(key, turn), count, batch_size=BATCH))
            rates.append(count / max(time.process_time() - start, 1e-9))
        at_once = f", {min(count, BATCH)} at a time" if count > 1 else ""
        found[name] = cell(mean_and_error(rates), f"{machine}, {TURNS} times {count} draws{at_once}")
    x = np.concatenate(drawn)[: judged.draws].astype(np.float32)
    return np.clip(np.rint(x), 0, judged.levels - 1), found


def score_draws(x: np.ndarray, judged: Judged) -> dict[str, Cell]:
    """The cells that look at draws alone: x [K, ...], whole numbers 0 to levels - 1."""
    unit, test = (as_pictures(part, judged.levels) for part in (x, judged.scored))
    found, about = {}, judged.features.name + (f", {judged.features.note}" if judged.features.note else "")
    for score in sample_scores(unit, test, judged.features, seed=judged.setting.seed):
        if score.name in SCORES:
            bias = f"; estimated bias {score.bias:.2g}" if score.bias else ""
            words = f"{len(x)} draws against {len(test)} of {judged.setting.data}, {about}{bias}"
            found[SCORES[score.name]] = cell(score.estimate, words)
    flat = [flat_pixels(as_pictures(part, judged.levels)) for part in (x, judged.train, judged.test)]
    words = f"{len(x)} draws, distance of pixels to {len(flat[1])} training and {len(flat[2])} test images"
    return {**found, "copied": cell(copied_share(*flat), words)}


def strip_of(x: np.ndarray, levels: int) -> np.ndarray:
    """The first draws as uint8 pixels [16, ...], to be looked at.

    Example:
        >>> strip_of(np.full((20, 1, 1, 1), 16.0), 17).shape
        (16, 1, 1, 1)
    """
    return np.round(255 * as_pictures(x[:STRIP], levels)).astype(np.uint8)
