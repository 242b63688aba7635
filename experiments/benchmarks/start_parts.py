"""What compiling takes before a run's first step, and what would be gained by compiling the weights' program beside it.

    python -m experiments.benchmarks.start_parts

Time: two minutes of processor time. The MLP of `cold_start` is lowered and compiled anew in every turn, three programs:
the initial state, the order of an epoch, and a chunk of steps. Turns alternate between one after another and the first
one in a thread beside the two others. Each part is told by the processor time of the thread that asks for it and of
the busiest other thread: XLA compiles a program in pieces on a thread for each core, so that a program that is compiled
beside another takes the cores from it.

Obtained on two cores that other programs used as well: initial state 1.8 s of processor time, order 0.6, steps 3.4; at
once 1.05 (0.76 to 1.19) of one after another. Half of the sum, 2.9 s, is the least that two idle cores could take; one
after another they take 3.9 s: of a compilation its busiest thread, and what is left when all cores' such are deducted.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

MODES = ("one after another", "at once")


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        rounds: turns of each way, after one that warms up.
        output: a JSON file; what is printed lies beside it, without one in runs/benchmarks/start_parts.
    """

    rounds: int = 5
    output: Path | None = None


class Part(NamedTuple):
    """Seconds that one part took.

    Attributes:
        name: of it.
        wall: from its start to its end.
        caller, helper, process: processor time of the thread that asked for it, of the busiest other one, of all.
    """

    name: str
    wall: float
    caller: float
    helper: float
    process: float


def thread_seconds() -> dict[int, float]:
    """Processor seconds of each thread of this process; Linux alone tells."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            found[int(task.name)] = int((task / "schedstat").read_text().split()[0]) / 1e9
        except OSError:  # it has ended
            continue
    return found


def timed(parts: list[Part], name: str, call: Callable[[], Any]) -> Any:
    """What the call returns; its times are added to the parts."""
    before, start, whole = thread_seconds(), time.perf_counter(), time.process_time()
    found = call()
    wall, whole = time.perf_counter() - start, time.process_time() - whole
    took = {thread: now - before.get(thread, 0.0) for thread, now in thread_seconds().items()}
    caller = took.pop(threading.get_native_id())
    parts.append(Part(name, wall, caller, max(took.values(), default=0.0), whole))
    return found


def programs() -> tuple[Callable[[list[Part]], None], Callable[[list[Part]], None]]:
    """(compiles the initial state, compiles the order and the steps), neither compiled before."""
    import jax
    import jax.numpy as jnp

    import jaxvae
    from jaxvae.data.protocols import PROTOCOLS
    from jaxvae.training.engine.state import init_state
    from jaxvae.training.engine.step import make_step, order_of, over_rows

    jax.clear_caches()
    shape, batch, examples = (28, 28, 1), 128, 60_000
    model = jaxvae.vae(jaxvae.MLPEncoder(20), jaxvae.MLPDecoder(shape), event_shape=shape, latent_dim=20)
    optimizer = jaxvae.make_optimizer()
    step = make_step(jaxvae.bound_loss(model), optimizer, PROTOCOLS["grey"])
    images = jax.ShapeDtypeStruct((examples, *shape), jnp.uint8)
    fewer: Any = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    init = jax.jit(lambda key: init_state(model, optimizer, key, jnp.zeros(shape)), compiler_options=fewer)
    order = jax.jit(lambda key, at, images: order_of(key, at, images, batch))
    chunk = jax.jit(over_rows(step, examples // batch), donate_argnums=0)

    def first(parts: list[Part]) -> None:
        lowered = timed(parts, "initial state, traced", lambda: init.lower(jax.random.key(0)))
        timed(parts, "initial state, compiled", lowered.compile)

    def others(parts: list[Part]) -> None:
        state: Any = jax.eval_shape(init, jax.random.key(0))
        lowered = timed(parts, "order, traced", lambda: order.lower(state.key, state.step, images))
        timed(parts, "order, compiled", lowered.compile)
        given = state, images, *lowered.out_info, jax.ShapeDtypeStruct((), jnp.int32)
        lowered = timed(parts, "steps, traced", lambda: chunk.lower(*given))
        timed(parts, "steps, compiled", lowered.compile)

    return first, others


def turn(mode: str) -> tuple[float, list[Part]]:
    """(seconds from first to last, the parts)."""
    first, others = programs()
    parts: list[Part] = []
    start = time.perf_counter()
    if mode == MODES[0]:
        first(parts)
        others(parts)
    else:
        beside = threading.Thread(target=first, args=([],))
        beside.start()
        others([])
        beside.join()
    return time.perf_counter() - start, parts


def main() -> None:
    """Parses, measures, prints, and writes --output."""
    import tyro

    options = tyro.cli(Options, description=__doc__)
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "0"  # before JAX starts
    from experiments.benchmarks.kept import kept, span
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.written import number
    from jaxvae.files import write_json

    walls: dict[str, list[float]] = {mode: [] for mode in MODES}
    turns: list[list[Part]] = []
    for count in range(options.rounds + 1):
        for mode in MODES:
            seconds, parts = turn(mode)
            if count:
                walls[mode].append(seconds)
                turns += [parts] if parts else []
    rows = [
        (these[0].name, *map(median, zip(*(part[1:] for part in these), strict=True)))
        for these in zip(*turns, strict=True)
    ]
    shares = [other / one for one, other in zip(*(walls[mode] for mode in MODES), strict=True)]
    with kept("start_parts", options.output):
        columns = ("part", "s, wall", "s of the caller", "of the busiest other thread", "of all threads")
        print_table("compiling before the first step", columns, [(name, *map(number, times)) for name, *times in rows])
        ends = [(mode, span([min(t), median(t), max(t)], "s")) for mode, t in walls.items()]
        ends.append(("at once, of one after another", span([min(shares), median(shares), max(shares)])))
        print_table("all three programs", ("way", "min, median, max"), ends)
    if options.output is not None:
        write_json(options.output, {"parts": rows, "seconds": walls})


if __name__ == "__main__":
    main()
