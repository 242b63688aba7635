"""Training on examples that stay in a file beside training on the same examples on the device, in turns.

    python -m experiments.benchmarks.streaming --rounds 5

Time: three minutes of processor time. An MLP (784-400-20, batch 128) on grey pictures of 28x28, and convolutions
(32-64, batch 64) on 64x64 in colour, of files of a hundred megabytes; a round is one training of each, whose first
two calls do not count. Expected: at most 1.10 times the processor time, of all threads, for the file, and the same
parameters. Obtained with --rounds 3 --calls 3: 0.96 - 0.98 - 1.00 times for the MLP, 1.02 - 1.03 - 1.05 for the
convolutions, and the same. By the wall clock, on two cores that nothing else used (--rounds 5 --calls 3), 0.81 - 0.96 -
1.22 for the MLP and 0.96 - 0.96 - 0.99 for the convolutions, and 0.87 - 0.97 - 1.26 and 0.96 - 0.98 - 0.99 of the
processor time.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class StreamingOptions:
    """What to measure.

    Attributes:
        rounds: turns of each.
        calls: calls of the compiled steps in a turn, after two that do not count.
    """

    rounds: int = 5
    calls: int = 4


class Shape(NamedTuple):
    """One kind of pictures: how many there are, the batch, and the steps of a call."""

    pictures: tuple[int, int, int]
    examples: int
    batch: int
    steps: int


SHAPES = {"28x28x1, mlp": Shape((28, 28, 1), 120_000, 128, 100), "64x64x3, conv": Shape((64, 64, 3), 8_000, 64, 6)}


def main(options: StreamingOptions) -> None:
    """Prints the processor time of both, all threads together, and their ratios by it and by the clock on the wall."""
    for name, shape in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.npy"
            np.save(path, np.random.default_rng(0).integers(0, 256, (shape.examples, *shape.pictures), np.uint8))
            spent, same = measure(np.load(path, mmap_mode="r"), shape, options)
        busy, wall = ([(one[i], other[i]) for one, other in spent] for i in range(2))
        seconds = [1e3 * median(column) / (options.calls * shape.steps) for column in zip(*busy, strict=True)]
        print(
            f"{name}: on the device {seconds[0]:.1f} ms of processor time a step, in the file {seconds[1]:.1f}; ratio "
            f"{spread(busy)}, by the wall clock {spread(wall)}, in {options.rounds} rounds; the same parameters: {same}"
        )


def spread(pairs: list[tuple[float, float]]) -> str:
    """Least, median and largest ratio of the second to the first.

    Example:
        >>> spread([(1.0, 2.0), (2.0, 2.0), (2.0, 3.0)])
        '1.00 - 1.50 - 2.00'
    """
    ratios = [other / one for one, other in pairs]
    return f"{min(ratios):.2f} - {median(ratios):.2f} - {max(ratios):.2f}"


Seconds = tuple[float, float]  # of the processor, of the wall clock


def measure(data: Any, shape: Shape, options: StreamingOptions) -> tuple[list[tuple[Seconds, Seconds]], bool]:
    """(seconds on the device, those of the file) of each round, and whether both gave the same parameters."""
    import jax

    import jaxvae

    pictures, colour = shape.pictures, shape.pictures[-1] == 3
    encoder = jaxvae.ConvEncoder(20, features=(32, 64)) if colour else jaxvae.MLPEncoder(20, (400,))
    decoder = jaxvae.ConvDecoder(pictures, features=(64, 32)) if colour else jaxvae.MLPDecoder(pictures, hidden=(400,))
    model = jaxvae.vae(encoder, decoder, event_shape=pictures, latent_dim=20)
    optimizer, grey = jaxvae.training.make_optimizer(), jaxvae.data.PROTOCOLS["grey"]
    sizes: Any = {"batch_size": shape.batch, "steps_per_call": shape.steps}
    compiled = jaxvae.compile_steps(jaxvae.bound_loss(model), optimizer, grey, mode="jit", **sizes)
    start = jaxvae.training.init_state(model, optimizer, jax.random.key(0), jax.numpy.zeros(pictures))

    def turn(resident: bool) -> tuple[Seconds, Any]:
        steps = (options.calls + 2) * shape.steps
        reports = jaxvae.training.train(compiled, start, data, steps, steps_per_call=shape.steps, resident=resident)
        found = [(time.process_time(), time.perf_counter(), report.state.params) for report in reports]
        return (found[-1][0] - found[1][0], found[-1][1] - found[1][1]), jax.device_get(found[-1][2])

    turns = [(turn(True), turn(False)) for _ in range(options.rounds)]
    same = all(
        np.array_equal(*pair)
        for (_, one), (_, other) in turns
        for pair in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )
    return [(one, other) for (one, _), (other, _) in turns], same


def stream(examples: int, batch: int, hidden: tuple[int, ...], latents: int) -> tuple[Callable[[], int], float]:
    """(takes the steps of a call and returns how many, megabytes) of training on bytes of 28x28 in a file of their own.

    It is the training of `--data.resident never`: a thread reads the next batches meanwhile, 32 steps at a time and
    never past the end of an epoch. The megabytes are those of the compiled program with a block of batches, and of the
    two blocks and the order of an epoch (4 bytes an example) on the host.
    """
    import jax

    import jaxvae

    shape = (28, 28, 1)
    with tempfile.TemporaryDirectory() as folder:  # the mapped file outlives its name
        np.save(path := Path(folder) / "x.npy", np.random.default_rng(0).integers(0, 256, (examples, *shape), np.uint8))
        data = np.load(path, mmap_mode="r")
    parts: Any = (jaxvae.MLPEncoder(latents, hidden), jaxvae.MLPDecoder(shape, hidden=hidden))
    model, optimizer = jaxvae.vae(*parts, event_shape=shape, latent_dim=latents), jaxvae.training.make_optimizer()
    sizes: Any = {"batch_size": batch, "steps_per_call": 32}
    compiled = jaxvae.compile_steps(
        jaxvae.bound_loss(model), optimizer, jaxvae.data.PROTOCOLS["grey"], mode="jit", **sizes
    )
    start = jaxvae.training.init_state(model, optimizer, jax.random.key(0), jax.numpy.zeros(shape))
    block = np.zeros((32 * batch, *shape), np.uint8)
    program = compiled.memory(start, jax.numpy.asarray(block)) or 0
    reports = jaxvae.training.train(compiled, start, data, 10**9, steps_per_call=32, resident=False)
    taken = [0]

    def once() -> int:
        before, taken[0] = taken[0], next(reports).step
        return taken[0] - before

    return once, (program + 2 * block.nbytes + 4 * examples) / 1e6


if __name__ == "__main__":
    from jaxvae.commands.cli import parse_options
    from jaxvae.commands.parts.launch import launch

    launch(main, lambda words: parse_options(StreamingOptions, words))
