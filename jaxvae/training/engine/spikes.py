"""Gradients far above those just before them: the step is held back, and never for long."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxvae.checks import finite_number, positive_integer
from jaxvae.training.engine.optimizers import as_optimizer

Array = jax.Array


class SpikeState(NamedTuple):
    """What `skip_spikes` keeps.

    Attributes:
        norms: [window] of the last gradients, in a ring. seen: int32 [], how many there were.
        run: int32 [], steps held back in a row, up to the last one; above 0 where that one was.
        inner: the state of the optimizer.
    """

    norms: Array
    seen: Array
    run: Array
    inner: Any


def skip_spikes(
    optimizer: optax.GradientTransformation, ratio: float | Array = 10.0, *, window: int = 31
) -> optax.GradientTransformation:
    """The optimizer, which makes no step where the gradient's norm is above `ratio` times the median of the last ones.

    A deep hierarchy now and then meets a batch whose KL is thrown far off; one such step can undo an hour. A limit that
    is given as a number is wrong at the start or at the end of training, and a loss that grows for good would be held
    back for ever. Here every norm enters the median, of steps held back too, so that a new level is taken for the usual
    one after half a window; and no more than half a window is ever held back in a row. Nothing is in the first window.

    The state of the optimizer holds all of it, so that a resumed run goes on to the bit. Norms must be finite, as
    `make_step` sees to, which counts what is held back as `skipped`.

    Args:
        optimizer: any Optax transformation; it does not see the gradients of the steps held back.
        ratio: above 1.
        window: the last steps whose norms are kept, at least 3.

    Raises:
        ValueError, TypeError: for a ratio that is not above 1, a window below 3, or what is no optimizer.

    Source: skipping by a fixed norm is Child's, 2021, arXiv 2011.10650, section 3; its relation to a median is ours.

    Example:
        >>> optimizer = skip_spikes(optax.sgd(1.0), 10.0, window=3)
        >>> state = optimizer.init(0.0)
        >>> for gradient in (1.0, 2.0, 1.0, 30.0):
        ...     update, state = optimizer.update(jnp.float32(gradient), state)
        >>> float(update), int(state.run)
        (0.0, 1)
    """
    as_optimizer(optimizer)
    finite_number("ratio", ratio, 1.0, above=True)
    window = positive_integer("window", window, 3)

    def init(params: Any) -> SpikeState:
        none = jnp.zeros((), jnp.int32)
        return SpikeState(jnp.zeros(window, jnp.float32), none, none, optimizer.init(params))

    def update(gradient: Any, state: SpikeState, params: Any = None) -> tuple[Any, SpikeState]:
        norm = optax.tree.norm(gradient).astype(jnp.float32)
        full, bounded = state.seen >= window, state.run < window // 2
        held = full & bounded & (norm > ratio * jnp.median(state.norms))

        def hold() -> tuple[Any, Any]:
            return jax.tree.map(jnp.zeros_like, gradient), state.inner

        def go() -> tuple[Any, Any]:
            found: tuple[Any, Any] = optimizer.update(gradient, state.inner, params)
            return found

        updates, inner = jax.lax.cond(held, hold, go)
        norms = state.norms.at[state.seen % window].set(norm)
        return updates, SpikeState(norms, state.seen + 1, jnp.where(held, state.run + 1, 0), inner)

    return optax.GradientTransformation(init, update)


def held_back(opt_state: Any) -> Array | None:
    """Whether the last step was held back, bool []; None where nothing watches.

    Example:
        >>> held_back(skip_spikes(optax.sgd(0.1)).init(0.0)).item(), held_back(optax.sgd(0.1).init(0.0))
        (False, None)
    """
    return opt_state.run > 0 if isinstance(opt_state, SpikeState) else None
