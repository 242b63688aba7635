"""Many models in one program: seconds an epoch a member of `train_sweep`, against one model alone.

MLP 784-400-20 on MNIST, batch 128; members differ in their seed. Of the epochs after the first, which compiles, the
median. difference: between the first member's parameters and those of the model alone, after the same epochs.
"""

import functools
import itertools
import time
from statistics import median
from typing import Any

import jax
import numpy as np

import jaxvae
from experiments.benchmarks.accelerator.section import Part, Section
from experiments.benchmarks.contenders import jaxvae_train
from jaxvae.training.engine.sweep import train_sweep

NUMBERS = ("members", "seconds_per_epoch", "per_member", "against_alone", "difference")
alone: dict[str, Any] = {}  # what the first part found, for those after it


def parts(tiny: bool) -> dict[str, Part]:
    """By name."""
    return {
        f"members_{count}": Part(functools.partial(members, count=count), NUMBERS)
        for count in ((1, 2) if tiny else (1, 8, 64, 192))
    }


def members(section: Section, count: int) -> None:
    """Trains so many at once."""
    images = np.load(section.scratch / "train.npy", allow_pickle=False)
    images, batch, epochs = (images[:64], 16, 3) if section.tiny else (images, 128, 4)
    section.need(3.0)
    model, times = jaxvae_train.networks("mlp", images.shape[1:]), [time.perf_counter()]
    params = train_sweep(
        model,
        lambda hyper: jaxvae.bound_loss(model, jaxvae.elbo, beta=hyper["beta"]),
        jaxvae.make_optimizer("adam", 1e-3),
        images,
        hyper={"beta": (1.0,)},
        seeds=count,
        epochs=epochs,
        batch_size=batch,
        protocol="grey",
        tick=lambda: times.append(time.perf_counter()),
    )
    seconds = median(later - sooner for sooner, later in itertools.pairwise(times[1:]))
    first = jax.tree.map(lambda leaf: leaf[0, 0], params)
    if count == 1:
        alone.update(seconds=seconds, params=first)
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(alone["params"]), strict=True)
    section.note(
        members=count,
        seconds_per_epoch=seconds,
        per_member=seconds / count,
        against_alone=seconds / count / alone["seconds"],
        difference=max(float(np.abs(a - b).max()) for a, b in pairs),
    )
    section.row(f"{count} model(s) in one program: seconds an epoch a member", f"{seconds / count:.2g}, "
                f"{seconds / count / alone['seconds']:.3f} of one alone")  # fmt: skip
