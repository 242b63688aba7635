"""Cells of Burda's table as far as the full schedule of 3,280 epochs gets: the bound against epochs.

`experiments.burda`'s own cells with one layer and two, IWAE of 50 samples, batch 20. bound: [epoch, -IW-K in nats, its
standard error] of the first 1,000 test images, on the fixed binary draw, whenever the epochs have doubled and at the
end; K is 500. hours_for_all: at this rate, for the full schedule. published: the paper's value after all of it.
"""

import functools
import time
from dataclasses import replace
from typing import Any

import jax
import numpy as np

import jaxvae
from experiments.benchmarks.accelerator.section import Part, Section
from experiments.tables.burda_cells import PUBLISHED, cell_config
from jaxvae.runs.builders.from_config import build_model, build_training
from jaxvae.runs.held_out import HeldOut, load_held_out, load_split
from jaxvae.training.engine.state import compiled_init

NUMBERS = ("cell", "epochs", "steps", "steps_per_second", "hours_for_all", "bound", "published")
TO_MEASURE = 6.0  # seconds kept for the last measurement, which may have to compile


def parts(tiny: bool) -> dict[str, Part]:
    """By name."""
    return {
        "one_layer": Part(functools.partial(cell, name="iwae-1-k50", share=0.6), NUMBERS),
        "two_layers": Part(functools.partial(cell, name="iwae-2-k50", share=1.0), NUMBERS),
    }


def cell(section: Section, name: str, share: float) -> None:
    """Trains for a share of the time that is left."""
    section.need(3.0)
    left = section.left() * share
    end = time.monotonic() + max(left - TO_MEASURE, left / 2)
    config = cell_config(name, stages=8)
    config = replace(config, data=replace(config.data, name=str(section.scratch / "mnist.npz")))
    images = load_split(config.data, config.data.train_split).images
    if section.tiny:
        images = images[:40]
        config = replace(config, objective=replace(config.objective, samples=3))
    test, per_epoch = load_held_out(config.data), len(images) // config.batch_size
    model = build_model(config.model, images.shape[1:], images)
    training = build_training(config, model, per_epoch)
    compiled = jaxvae.compile_steps(*training, batch_size=config.batch_size, steps_per_call=min(per_epoch, 2000))
    state = compiled_init(model, training.optimizer)(
        jax.random.key(config.seed), np.zeros(images.shape[1:], np.float32)
    )
    steps = 3 * per_epoch if section.tiny else config.epochs * per_epoch
    curve: list[list[float]] = []
    due, spent, first = 1, 0.0, 0

    def note(step: int) -> None:
        rate = (step - first) / spent if spent else None
        hours = rate and config.epochs * per_epoch / rate / 3600
        section.note(cell=name, epochs=step / per_epoch, steps=step, bound=curve, published=PUBLISHED[name])
        section.note(steps_per_second=rate, hours_for_all=hours)

    for report in jaxvae.train(compiled, state, images, steps):
        if first:  # the first call compiles
            spent += report.seconds
        else:
            first = report.step
        over = time.monotonic() > end or report.step == steps
        if over or report.step == due * per_epoch:
            curve.append(_bound(section, model, report.state.params, test, report.step / per_epoch))
            due = max(2 * due, 2 * (report.step // per_epoch))
            note(report.step)
        if over:
            break
    section.row(f"{name}: epochs, -bound in nats (published {PUBLISHED[name]} after {config.epochs})",
                f"{curve[-1][0]:.3g}, {curve[-1][1]:.2f} ± {curve[-1][2]:.2f}")  # fmt: skip


def _bound(section: Section, model: Any, params: Any, test: HeldOut, epoch: float) -> list[float]:
    count, samples = (10, 3) if section.tiny else (1000, 500)
    values = jaxvae.per_example(
        model, params, jax.random.key(test.seed), test.x[:count], samples=samples, batch_size=min(200, count)
    )
    estimate = jaxvae.summarize(values)["iwae"]
    return [epoch, -estimate.mean, estimate.standard_error]
