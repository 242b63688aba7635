"""One pure training step, and several of them in one compiled loop."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxvae.checks import as_function, finite_number
from jaxvae.models.contexts import Labelled, count_examples
from jaxvae.models.records import Key, Params
from jaxvae.training.engine.averages import follow
from jaxvae.training.engine.optimizers import as_optimizer
from jaxvae.training.engine.sampler import epoch_indices, examples_of
from jaxvae.training.engine.spikes import held_back
from jaxvae.training.engine.state import TrainState
from jaxvae.training.engine.streams import NOISE, PREPROCESS, example_keys
from jaxvae.training.losses.bound import Loss, Metrics, as_loss
from jaxvae.training.losses.whole_batch import keyed, spread_over

Array = jax.Array
Preprocess = Callable[[Key, Any], Any]
Step = Callable[[TrainState, Any], tuple[TrainState, Metrics]]
Steps = Callable[[TrainState, Any, Array], tuple[TrainState, Metrics]]


def labelled(preprocess: Preprocess) -> Preprocess:
    """The same preprocessing for `Labelled` raw examples: of the value alone, the context stays as it is.

    Example:
        >>> halve = labelled(lambda key, image: image / 2)
        >>> halve(jax.random.key(0), Labelled(8.0, 3))
        Labelled(value=4.0, context=3)
    """
    return lambda key, raw: Labelled(preprocess(key, raw.value), raw.context)


def take(data: Any, indices: Array) -> Any:
    """The rows of every array of the data; the indices must be in bounds.

    Example:
        >>> take(Labelled(jnp.arange(3.0), jnp.arange(3)), jnp.array([2])).context.tolist()
        [2]
    """

    def rows(leaf: Array) -> Array:
        # One axis of numbers: with the one channel of a grey image last, XLA on a CPU copies byte by byte.
        flat = leaf.reshape(leaf.shape[0], math.prod(leaf.shape[1:]))
        return flat.at[indices].get(mode="promise_in_bounds").reshape(*indices.shape, *leaf.shape[1:])

    return jax.tree.map(rows, data)


def make_step(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    preprocess: Preprocess,
    *,
    ema: float | None = None,
    axis_name: str | None = None,
    skip_above: float | None = None,
) -> Step:
    """A step(state, raw) -> (state, metrics), to be compiled by the caller; raw is [B, ...], or a tree of such.

    The update is skipped, bit for bit, when the loss or the squared norm of the gradient is not finite; the metric
    `skipped` is then 1, as it is where `skip_spikes` holds the optimizer back. The step counter advances all the same,
    so that the next batch is another one.

    Args:
        loss: (params, keys, batch, step) -> (scalar, metrics).
        optimizer: any Optax transformation.
        preprocess: (key, raw example) -> example, run on the device.
        ema: decay of the moving average of the parameters, or None; smaller at the start, by `averages.decay_at`.
        axis_name: the mapped device axis over which gradients and metrics are averaged; raw is then this device's
            share of the batch.
        skip_above: skip the update, too, where the norm of the gradient is above this number; None never does.
            Deep hierarchies need it: one bad batch can throw a KL far off while all numbers stay finite.

    Raises:
        ValueError: for a decay outside (0, 1], or a skip_above that is not above 0.

    Source: skipping by the norm: Child, 2021, arXiv 2011.10650.

    Example:
        >>> loss = lambda params, keys, batch, step: (((batch - params) ** 2).mean(), {})
        >>> step = make_step(loss, optax.sgd(0.5), lambda key, raw: raw)
        >>> start = TrainState(jnp.int32(0), jnp.zeros(()), optax.sgd(0.5).init(0.0), jax.random.key(0), None)
        >>> state, metrics = jax.jit(step)(start, jnp.array([1.0, 3.0]))
        >>> float(state.params), float(metrics["gradient_norm"]), int(metrics["skipped"])
        (2.0, 4.0, 0)
    """
    as_loss(loss)
    as_optimizer(optimizer)
    as_function("preprocess", preprocess, "jaxvae.data.PROTOCOLS['grey']")
    if ema is not None:
        finite_number("ema", ema, 0.0, 1.0, above=True)
    if skip_above is not None:
        finite_number("skip_above", skip_above, above=True)

    def step(state: TrainState, raw: Any) -> tuple[TrainState, Metrics]:
        size = count_examples(raw, "raw")
        offset = 0 if axis_name is None else jax.lax.axis_index(axis_name) * size
        batch = jax.vmap(preprocess)(example_keys(state.key, PREPROCESS, state.step, size, offset), raw)
        keys = example_keys(state.key, NOISE, state.step, size, offset)

        checked = jax.value_and_grad(functools.partial(_value_and_metrics, keyed(loss)), has_aux=True)
        with spread_over(axis_name):
            (value, metrics), gradient = checked(state.params, keys, batch, state.step)
        if axis_name is not None:
            value, metrics, gradient = jax.lax.pmean((value, metrics, gradient), axis_name)
        # A norm that overflows is as bad as a NaN: clipping would turn it into a silent update of zero.
        norm = optax.tree.norm(gradient)
        good = jnp.isfinite(value) & jnp.isfinite(norm)
        if skip_above is not None:
            good &= norm <= skip_above

        def update() -> tuple[Params, Any, Params | None]:
            updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
            average, held = follow(state.ema, params, ema, state.step), held_back(opt_state)
            if held is not None:
                average = jax.tree.map(functools.partial(jnp.where, held), state.ema, average)
            return params, opt_state, average

        def skip() -> tuple[Params, Any, Params | None]:
            return state.params, state.opt_state, state.ema

        params, opt_state, average = jax.lax.cond(good, update, skip)
        held = held_back(opt_state)
        skipped = 1.0 - good if held is None else jnp.where(good, 1.0 * held, 1.0)
        metrics = {**metrics, "gradient_norm": norm, "skipped": skipped}
        return TrainState(state.step + 1, params, opt_state, state.key, average), metrics

    return step


def _value_and_metrics(loss: Loss, params: Params, keys: Key, batch: Any, step: Array) -> tuple[Array, Metrics]:
    """What the loss returned; raises `TypeError` unless it is (scalar, metrics)."""
    found: Any = loss(params, keys, batch, step)
    right = isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict) and jnp.shape(found[0]) == ()
    if not right:
        shape = f" of shape {found.shape}" if hasattr(found, "shape") else ""
        shape = f" of {', '.join(str(part) for part in found)}" if isinstance(found, tuple) else shape
        raise TypeError(
            f"the loss returned a {type(found).__name__}{shape}, expected (scalar, metrics): the mean over the batch "
            f"and a dict of arrays, such as (loss, {{}}) or (loss, {{'loss': loss}})."
        )
    return found


def over_rows(
    step: Step, steps_per_call: int, pick: Callable[..., Any] | None = None
) -> Callable[..., tuple[TrainState, Metrics]]:
    """run(state, rows, order, first, count) -> (state, metrics [steps_per_call, ...]): `count` steps in one loop.

    The rows are examples [N, ...], all of them or some that the host gathered, and the order [S, B] says which of them
    make a batch; the steps take its rows from `first` on. Whatever N and S are, it is one and the same program, so that
    no sum is taken in another order and the bits of data on the device are those of data on the host.

    Args:
        step: from `make_step`.
        steps_per_call: the most steps one call can take; metrics beyond `count` are zero.
        pick: (rows, indices [B]) -> a batch; by default `take`.
    """
    chosen = take if pick is None else pick

    def run(state: TrainState, rows: Any, order: Array, first: Array, count: Array) -> tuple[TrainState, Metrics]:
        flat, size = order.reshape(-1), order.shape[1]

        def one(state: TrainState, i: Array) -> tuple[TrainState, Metrics]:
            return step(state, chosen(rows, jax.lax.dynamic_slice_in_dim(flat, (first + i) * size, size)))

        def body(i: Array, carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, metrics = one(carry[0], i)
            return state, jax.tree.map(lambda buffer, m: buffer.at[i].set(m), carry[1], metrics)

        shapes = jax.eval_shape(one, state, jnp.int32(0))[1]
        buffers = jax.tree.map(lambda m: jnp.zeros((steps_per_call, *m.shape), m.dtype), shapes)
        carry: Any = jax.lax.fori_loop(0, count, body, (state, buffers))
        return carry

    return run


def order_of(key: Key, step: Array, images: Any, batch_size: int) -> tuple[Array, Array]:
    """The order [steps of an epoch, B] of the epoch that a step falls in, and the place of the step in it.

    The last `N % batch_size` examples of an epoch's order wait for another epoch; of `Weighted` images an epoch is as
    many draws with replacement.
    """
    per_epoch = count_examples(images, "images") // batch_size
    order = epoch_indices(key, step // per_epoch, images)
    return order[: per_epoch * batch_size].reshape(per_epoch, batch_size), step % per_epoch


def repeated(step: Step, batch_size: int, steps_per_call: int) -> Steps:
    """run(state, images, count) -> (state, metrics [steps_per_call, ...]): `count` steps in one compiled loop.

    The count is an array, so one program serves every length up to `steps_per_call` and training gives the same bits
    however it is cut. A call must not cross the end of an epoch (`steps_left`): the order of examples is drawn once.

    Args:
        step, steps_per_call: see `over_rows`.
        batch_size: the global batch, see `order_of`.
    """
    loop = over_rows(step, steps_per_call)

    def run(state: TrainState, images: Any, count: Array) -> tuple[TrainState, Metrics]:
        return loop(state, examples_of(images), *order_of(state.key, state.step, images, batch_size), count)

    return run


def steps_left(step: int, examples: int, batch_size: int) -> int:
    """How many steps are left in the epoch that `step` falls in.

    Example:
        >>> steps_left(3, examples=100, batch_size=10)
        7
    """
    per_epoch = examples // batch_size
    return per_epoch - step % per_epoch
