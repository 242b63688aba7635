"""Many samples of one example: IWAE steps and their memory, and log p(x) with 5,000 samples of the MLP.

iwae_K: 784-200-200-50, tanh, batch 128; examples/s of training steps and megabytes of the compiled gradient's
temporaries, by how many pairs of example and sample are in flight at once: 1,000, the fastest on a CPU, and all.
log_p: images/s of `per_example` by (examples, samples) in flight. whole_test: the IW bound of all test images at the
fastest of these.
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxvae
from experiments.benchmarks.accelerator.section import OutOfTime, Part, Section
from experiments.benchmarks.accelerator.sections.turns import take_turns, timed
from experiments.benchmarks.contenders import jaxvae_iwae, jaxvae_train

FLIGHTS: tuple[tuple[int | None, int], ...] = ((None, 125), (200, 500), (1000, 500))
best: dict[str, Any] = {}  # the fastest flight, for the whole test set


def parts(tiny: bool) -> dict[str, Part]:
    """By name."""
    counts = (3, 5) if tiny else (50, 1000)
    made = {f"iwae_{k}": Part(functools.partial(iwae, samples=k), ("rates", "temporary_megabytes", "peak_megabytes"))
            for k in counts}  # fmt: skip
    return {
        **made,
        "log_p": Part(log_p, ("samples", "images", "images_per_second", "largest_difference")),
        "whole_test": Part(whole_test, ("samples", "images", "seconds", "negative_bound", "standard_error")),
    }


def iwae(section: Section, samples: int) -> None:
    """Training steps with so many samples."""
    batch = 4 if section.tiny else 128
    flights = (8 if section.tiny else 1000, batch * samples)
    images = np.load(section.scratch / "train.npy", allow_pickle=False)
    images = images[: (2 if section.tiny else 20 if samples > 100 else 100) * batch]
    contenders, temporary = [], {}
    for rows in flights:
        section.need(2.0)
        temporary[str(rows)] = _temporary_megabytes(images.shape[1:], samples, batch, rows)
        epoch = jaxvae_iwae.make(images, f"iwae-{samples}", batch, rows)
        contenders.append(timed(str(rows), epoch, len(images)))
        contenders[-1].warm_up()
    take_turns(contenders, section.left, rounds=2 if section.tiny else 3, seconds=0.0 if section.tiny else 0.1)
    rates = {one.name: one.span for one in contenders}
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    section.note(rates=rates, temporary_megabytes=temporary, peak_megabytes=None if peak is None else peak / 1e6)
    for name, (_, rate, _) in rates.items():
        figure = f"{rate:,.0f}, {temporary[name]:,.0f} MB"
        section.row(f"IWAE of {samples} samples, batch {batch}, {name} in flight: examples/s and memory", figure)


def _temporary_megabytes(shape: tuple[int, ...], samples: int, batch: int, rows: int) -> float:
    """What the compiled gradient of a step needs beside its arguments and results."""
    model, loss = jaxvae_iwae.iwae(shape, samples, batch, rows)
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(shape))
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), batch))
    x, step = jax.ShapeDtypeStruct((batch, *shape), jnp.float32), jax.ShapeDtypeStruct((), jnp.int32)
    compiled = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(params, keys, x, step).compile()
    analysis: Any = compiled.memory_analysis()
    return float(analysis.temp_size_in_bytes) / 1e6


def _bound(images: np.ndarray, samples: int, flight: tuple[int | None, int], timer: list[float]) -> np.ndarray:
    """The importance-weighted bound of each image, for fresh weights; the seconds are appended."""
    shape = images.shape[1:]
    model = best.setdefault("model", jaxvae_train.networks("mlp", shape))
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(shape))
    x, (size, chunk) = images.astype(np.float32) / np.float32(255), flight
    start = time.perf_counter()
    values = jaxvae.per_example(
        model, params, jax.random.key(1), x, samples=samples, batch_size=size, chunk=min(chunk, samples)
    )
    timer.append(time.perf_counter() - start)
    return values["iwae"]


def log_p(section: Section) -> None:
    """How many in flight are fastest?"""
    samples, count = (10, 6) if section.tiny else (5000, 2000)
    images = np.load(section.scratch / "test.npy", allow_pickle=False)[:count]
    rates: dict[str, float] = {}
    first: np.ndarray | None = None
    difference = 0.0
    for size, chunk in FLIGHTS:
        if rates and section.left() < 10.0:
            break
        name = f"{size or 'by default'} x {chunk}"
        times: list[float] = []
        part = images[: min(count, 50 if size is None else size)]  # one batch compiles, then is measured
        for _ in range(3):
            values = _bound(part, samples, (size, chunk), times)
        rates[name] = len(part) / min(times[1:])
        first = values if first is None else first
        overlap = min(len(first), len(values))
        difference = max(difference, float(np.abs(values[:overlap] - first[:overlap]).max()))
        if rates[name] == max(rates.values()):
            best["flight"] = size, chunk
        section.row(f"log p(x), {samples} samples, {name} in flight: images/s", f"{rates[name]:,.1f}")
    section.note(samples=samples, images=count, images_per_second=rates, largest_difference=difference)


def whole_test(section: Section) -> None:
    """All test images, in pieces, as far as it gets."""
    samples = 10 if section.tiny else 5000
    images = np.load(section.scratch / "test.npy", allow_pickle=False)
    images = images[:12] if section.tiny else images
    flight = best.get("flight", FLIGHTS[0])
    piece, values = 6 if section.tiny else 2000, []
    times: list[float] = []
    for start in range(0, len(images), piece):
        if times and section.left() < 1.2 * times[-1]:
            break
        values.append(_bound(images[start : start + piece], samples, flight, times))
    found = np.concatenate(values)
    section.note(
        samples=samples,
        images=len(found),
        seconds=sum(times),
        negative_bound=-float(found.mean()),
        standard_error=float(found.std(ddof=1) / len(found) ** 0.5),
    )
    section.row(f"IW-{samples} of {len(found):,} test images", f"{sum(times):.1f} s")
    if len(found) < len(images):
        raise OutOfTime(f"{len(found)} of {len(images)} images were done")
