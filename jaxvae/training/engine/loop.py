"""The host's side of training: call the compiled steps, look at the metrics, stop when something is wrong."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.checks import positive_integer, shown
from jaxvae.models.contexts import count_examples
from jaxvae.models.records import Params
from jaxvae.training.engine.hyper import Hyper, as_hyper
from jaxvae.training.engine.parallel import CompiledSteps
from jaxvae.training.engine.sampler import Epoch, Reweighted, reweigh
from jaxvae.training.engine.state import TrainState
from jaxvae.training.engine.step import steps_left
from jaxvae.training.feeding.feeds import Resident, Stream
from jaxvae.training.jobs.processes import agreed

SECONDS_PER_CALL = 1.0  # long enough to cost nothing, short enough for a smooth bar and a prompt Ctrl-C


class Report(NamedTuple):
    """What one call of the compiled steps did.

    Attributes:
        state: the state after it; gone once the next report is asked for, since it is donated.
        step: its step as a Python integer.
        metrics: NumPy arrays with a leading axis [steps of this call], in nats per example.
        seconds: wall time of the call.
        anchor: of `Reweighted` examples the parameters that the weights of this epoch came from, else None.
    """

    state: TrainState
    step: int
    metrics: dict[str, np.ndarray]
    seconds: float
    anchor: Params | None = None


def train(
    compiled: CompiledSteps,
    state: TrainState,
    images: Any,
    steps: int,
    *,
    steps_per_call: int | None = None,
    max_skipped: int = 20,
    hyper: Hyper | None = None,
    resident: bool = True,
) -> Iterator[Report]:
    """Trains up to step number `steps`, a report at a time; the caller logs, saves, evaluates or stops in between.

    Args:
        compiled: from `compile_steps`.
        state: where to go on from; it is copied, so it stays usable.
        images: raw examples [N, ...], uint8, or a tree of arrays of equal leading length, such as `Labelled(images,
            labels)`, or either with weights, `weighted(images, weights)`; they are brought to the device once. Of
            `Reweighted` examples every epoch has weights of its own, and the metrics say `effective_examples`.
        steps: the step number to stop at, counted from the start of the run.
        steps_per_call: steps in one call; by default as many as fit in a second. The numbers do not depend on it.
        max_skipped: raise after this many non-finite steps in a row.
        hyper: the numbers that loss and optimizer are built from, where `compile_steps` was told so.
        resident: whether the examples are brought to the device, all of them; False leaves them on the host, where a
            thread gathers the next batches while the device takes its steps. The bits are the same. They may then be
            mapped files, or anything with a length that takes an array of indices in `[...]`.

    Raises:
        ValueError: for empty data, a batch larger than the data, or arrays of different lengths; for examples that
            cannot be read, naming the file or the index.
        FloatingPointError: after `max_skipped` non-finite steps in a row, naming the step and what was not finite.

    Example:
        >>> import optax
        >>> from jaxvae import MLPDecoder, MLPEncoder, bound_loss, vae
        >>> from jaxvae.training.engine.parallel import compile_steps
        >>> from jaxvae.training.engine.state import init_state
        >>> model = vae(MLPEncoder(2, hidden=(8,)), MLPDecoder((4,), hidden=(8,)), event_shape=(4,), latent_dim=2)
        >>> optimizer = optax.adam(1e-2)
        >>> state = init_state(model, optimizer, jax.random.key(0), jax.numpy.zeros(4))
        >>> scale = lambda key, raw: raw / 255.0
        >>> compiled = compile_steps(bound_loss(model), optimizer, scale, batch_size=5, steps_per_call=4, mode="jit")
        >>> pixels = 255 * np.eye(4, dtype=np.uint8)[np.arange(20) % 4]
        >>> reports = list(train(compiled, state, pixels, steps=6))  # 4 steps are an epoch, and a call
        >>> [report.step for report in reports], reports[0].metrics["elbo"].shape
        ([4, 6], (4,))
    """
    if not isinstance(compiled, CompiledSteps):
        raise TypeError(f"compiled is {shown(compiled)}, expected what compile_steps(...) returns.")
    if not isinstance(state, TrainState):
        raise TypeError(f"state is a {type(state).__name__}, expected a TrainState, as init_state(...) returns it.")
    if compiled.hyper is not ((numbers := as_hyper(hyper)) is not None):
        raise ValueError(
            f"hyper is {hyper!r}, but the steps were compiled with hyper={compiled.hyper}. Give both, or neither."
        )
    examples = check_data(images, compiled.batch_size)
    steps, max_skipped = positive_integer("steps", steps, 0), positive_integer("max_skipped", max_skipped)
    limit = 8 if steps_per_call is None else positive_integer("steps_per_call", steps_per_call)
    source = images if isinstance(images, Reweighted) else None
    epoch: Epoch | None = None
    per_epoch = examples // compiled.batch_size
    feed: Resident | Stream = (Resident if resident else Stream)(compiled, state.key, images, examples)
    state, step, in_a_row, warm = compiled.place_state(state), int(state.step), 0, False

    def plan(step: int) -> int:
        """How many steps the next call takes; it does not cross the end of an epoch."""
        return min(steps_left(step, examples, compiled.batch_size), steps - step, limit, feed.steps)

    try:
        while step < steps:
            begins = step % per_epoch == 0
            if source is not None and (begins or epoch is None):
                epoch = reweigh(source, state.params, begins=begins)
                feed.draw_by(epoch.edges)
            count = feed.begun or plan(step)
            start = time.perf_counter()
            state, buffers = feed.run(state, step, count, numbers)
            step += count
            if step < steps and not (source is not None and step % per_epoch == 0):  # whose weights are not known yet
                feed.ahead(step, plan(step))
            metrics = {name: value[:count] for name, value in jax.device_get(buffers).items()}
            seconds = time.perf_counter() - start
            if epoch is not None:
                metrics["effective_examples"] = np.full(count, epoch.effective)
            yield Report(state, step, metrics, seconds, None if epoch is None else epoch.anchor)
            in_a_row = longest_run(metrics["skipped"], in_a_row, max_skipped)
            if in_a_row >= max_skipped:
                raise FloatingPointError(
                    f"{in_a_row} steps in a row, up to step {step}, were not finite and were skipped: "
                    f"{feed.diagnose(state, step, numbers)}. The parameters are those of the last good step. "
                    f"Lower the learning rate, clip the gradient, or look for bad pixels; bring the columns of a table "
                    f"to mean 0 and variance 1."
                )
            if steps_per_call is None and warm:  # the first call compiles, so its time says nothing
                limit, _, _ = agreed(max(1, min(8 * limit, int(SECONDS_PER_CALL * count / seconds))))
            warm = True
    finally:
        feed.close()


def longest_run(skipped: np.ndarray, before: int, enough: int) -> int:
    """Skipped steps in a row at the end, counting those `before`; stops early at `enough`."""
    run = before
    for flag in skipped:
        run = run + 1 if flag else 0
        if run >= enough:
            break
    return run


def check_data(images: Any, batch_size: int) -> int:
    """The number of examples; raises `ValueError` for none, fewer than one batch, or arrays of different lengths."""
    examples = count_examples(images.examples if isinstance(images, Reweighted) else images, "images")
    if examples == 0:
        raise ValueError("images is empty (0 examples), expected at least one batch. Check the split and the path.")
    if examples < batch_size:
        raise ValueError(
            f"batch_size is {batch_size}, larger than the data ({examples} examples), so an epoch would have 0 "
            f"steps. Use a batch_size of at most {examples}."
        )
    return examples
