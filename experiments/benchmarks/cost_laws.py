"""What a training step costs, in processor time and memory, as one number grows: measured slopes beside the theory's.

    python -m experiments.benchmarks.cost_laws

A slope is the power of the number that the cost grows by, fitted in logarithms over the upper half of the points. Time
is processor time of a step, the least of several turns that the points of an axis take one after the other; memory is
the compiled program's own account (arguments, results and what it needs between), which no other program disturbs.
Devices are virtual, eight on one processor: they show that no work is done twice, not that it is faster.

Time: 338 s of processor time on a busy AMD EPYC. Expected beside obtained, powers of the upper half (time; memory):
batch 1, 1.02; 1, 0.68. Width 2, 1.30; 2, 1.44. Side 2, 2.35; 2, 1.99. Latents 1, 0.23; 1, 0.23. K 1, 0.96; 1, 0.23.
Members 1, 1.14; 1, 1.00. Devices 0, 0.14; -1, -0.21. Examples held 0, 0.00; 1, 0.79, a block at most 0, 0.01; 0, 0.43.
A real stream 0, 0.00; 0, 0.00.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.benchmarks.cost_slopes import draw, show
from experiments.benchmarks.kept import kept

PICTURE = Path("runs/benchmarks/cost_laws/cost_laws.png")
BLOCK = 2**26 // (4 * 784)  # rows a stream would hold, BLOCK_BYTES of jaxvae/training/feeding/feeds.py; none is read


class Axis(NamedTuple):
    """One number that grows.

    Attributes:
        name: of it, with what stays.
        values: of it, ascending.
        options: a value -> the arguments of `program`.
        time, memory: the powers that theory expects at large values.
    """

    name: str
    values: tuple[int, ...]
    options: Callable[[int], dict[str, Any]]
    time: float
    memory: float


AXES = (
    Axis("batch", (16, 64, 256, 1024, 4096), lambda n: {"batch": n}, 1, 1),
    Axis("width of two layers", (64, 128, 256, 512, 1024, 2048), lambda n: {"hidden": (n, n)}, 2, 2),
    Axis("image side, convolutions", (16, 32, 64, 128), lambda n: {"side": n, "conv": True, "batch": 32}, 2, 2),
    Axis("latents", (2, 8, 32, 128, 512), lambda n: {"latents": n}, 1, 1),
    Axis("K of IWAE", (1, 4, 16, 64), lambda n: {"samples": n, "batch": 64}, 1, 1),
    Axis("members of a sweep", (1, 2, 4, 8, 16), lambda n: {"members": n}, 1, 1),
    Axis("virtual devices, batch 1024", (1, 2, 4, 8), lambda n: {"devices": n, "batch": 1024}, 0, -1),
    Axis("examples on the device", (1000, 4000, 16000, 64000), lambda n: {"rows": n}, 0, 1),
    Axis("examples, a block at most", (1000, 4000, 16000, 64000), lambda n: {"rows": min(n, BLOCK)}, 0, 0),
    Axis("examples in a file, a stream", (1000, 4000, 16000, 64000), lambda n: {"file": n}, 0, 0),
)


class Measured(NamedTuple):
    """Of each value of an axis: processor milliseconds of a step, and megabytes of its program (of one device)."""

    milliseconds: list[float]
    megabytes: list[float]


@dataclass(frozen=True)
class Options:
    """What to measure."""

    points: int | None = None  # The most values of an axis, from the smallest; None takes all.
    turns: int = 4  # Of each point.
    axes: int | None = None  # How many of the axes; None takes all.
    only: str = ""  # Those axes whose names have this in them, such as stream.
    picture: Path = PICTURE  # Where to draw.


def program(
    *,
    batch: int = 128,
    hidden: tuple[int, ...] = (400,),
    latents: int = 20,
    side: int = 28,
    conv: bool = False,
    samples: int = 1,
    members: int = 1,
    devices: int = 1,
    rows: int | None = None,
    file: int | None = None,
) -> tuple[Callable[[], int], float]:
    """(takes steps and returns how many, megabytes) of a Bernoulli VAE of pictures, trained by Adam.

    Of `rows` that are held a batch is taken; of `file` examples it is read as training does, see `streaming.stream`.
    """
    if file is not None:
        from experiments.benchmarks.streaming import stream

        return stream(file, batch, hidden, latents)
    import jax
    import jax.numpy as jnp
    import optax
    from jax.sharding import AxisType, NamedSharding, PartitionSpec

    import jaxvae
    from jaxvae.data.protocols import as_it_is
    from jaxvae.objectives.bounds import elbo, iwae_bound
    from jaxvae.training.engine.state import init_state
    from jaxvae.training.engine.step import make_step, take
    from jaxvae.training.losses.bound import bound_loss

    shape = (side, side, 1)
    parts: Any = (jaxvae.MLPEncoder(latents, hidden=hidden), jaxvae.MLPDecoder(shape, hidden=hidden))
    if conv:
        parts = (jaxvae.ConvEncoder(latents), jaxvae.ConvDecoder(shape))
    model, optimizer = jaxvae.vae(*parts, event_shape=shape, latent_dim=latents), optax.adam(1e-3)
    bound = bound_loss(model, iwae_bound, samples=samples) if samples > 1 else bound_loss(model, elbo)
    step = make_step(bound, optimizer, as_it_is)

    def run(state: Any, images: Any) -> Any:
        if rows is not None:
            images = take(images, jnp.arange(batch) * 7919 % rows)
        return (jax.vmap(step, (0, None)) if members > 1 else step)(state, images)

    def start(key: Any) -> Any:
        return init_state(model, optimizer, key, jnp.zeros(shape))

    mesh = jax.make_mesh((devices,), ("example",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
    shared, everywhere = NamedSharding(mesh, PartitionSpec("example")), NamedSharding(mesh, PartitionSpec())
    keys = jax.random.split(jax.random.key(0), members) if members > 1 else jax.random.key(0)
    state = jax.device_put(jax.jit(jax.vmap(start) if members > 1 else start)(keys), everywhere)
    images = np.random.default_rng(0).random((rows or batch, *shape), np.float32) > 0.5
    placed = jax.device_put(images.astype(np.float32), shared if rows is None else everywhere)
    compiled = jax.jit(run, donate_argnums=0).lower(state, placed).compile()
    size: Any = compiled.memory_analysis()
    whole = size.argument_size_in_bytes + size.output_size_in_bytes + size.temp_size_in_bytes - size.alias_size_in_bytes
    held = [state]

    def once() -> int:
        held[0], _ = compiled(held[0], placed)
        jax.block_until_ready(held[0])
        return 1

    return once, whole / 1e6


def measure(axis: Axis, turns: int) -> Measured:
    """Compiles all points of an axis, and lets them take turns."""
    made = [program(**axis.options(value)) for value in axis.values]
    found: list[list[float]] = [[] for _ in made]
    for turn in range(turns + 1):
        for (once, _), times in zip(made, found, strict=True):
            steps, begun = 0, time.process_time()
            while not steps or time.process_time() - begun < 0.05:
                steps += once()
            if turn:  # the first warms up
                times.append(1e3 * (time.process_time() - begun) / steps)
    return Measured([min(times) for times in found], [megabytes for _, megabytes in made])


def main() -> None:
    """Measures, prints, draws."""
    import tyro

    options = tyro.cli(Options, description=__doc__)
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    from jaxvae.evaluation.plots.figures import save

    axes = [
        axis._replace(values=axis.values[: options.points])
        for axis in AXES[: options.axes]
        if options.only in axis.name
    ]
    begun = time.process_time()
    found = []
    for axis in axes:
        found.append(measure(axis, options.turns))
        print(axis.name, axis.values, *(np.round(values, 3).tolist() for values in found[-1]), flush=True)
    with kept("cost_laws", None):
        show(axes, found)
    print(f"{time.process_time() - begun:.0f} s of processor time")
    print(save(draw(axes, found), options.picture))


if __name__ == "__main__":
    main()
