"""A trace of some training steps: which operation took how long."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import CompiledSteps
from jaxvae.training.engine.state import TrainState

STEPS = 10


def profile_steps(
    compiled: CompiledSteps,
    state: TrainState,
    images: Any,
    folder: Path,
    say: Callable[[str], None],
    resident: bool = True,
) -> None:
    """Writes a trace of ten steps, taken on the side: no step of the run itself is another one for it.

    As many steps before them, which may compile, are not in it.

    Args:
        compiled, state, images: as `train` takes them.
        folder: where to write; one folder a trace below it.
        say: is told where it lies and how it is looked at.
        resident: as `train` takes it.
    """
    last = int(state.step) + 2 * STEPS
    reports = train(compiled, state, images, last, steps_per_call=STEPS, resident=resident)
    first = next(reports)
    with jax.profiler.trace(folder, create_perfetto_trace=True):
        for report in reports:
            if report.step - first.step >= STEPS:
                break
    found = max(folder.rglob("perfetto_trace.json.gz"), key=lambda path: path.stat().st_mtime)
    say(
        f"Trace of {STEPS} steps: open {found} at https://ui.perfetto.dev, or see it with `pip install xprof` and "
        f"`xprof --logdir {folder}`."
    )
