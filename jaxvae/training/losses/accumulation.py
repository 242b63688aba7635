"""Large batches in small pieces: the gradient of the whole, the memory (and the cache) of a part."""

from typing import Any

import jax

from jaxvae.checks import as_function, positive_integer
from jaxvae.models.records import Key, Params
from jaxvae.randomness import without_keys
from jaxvae.training.losses.bound import Loss, Metrics
from jaxvae.training.losses.whole_batch import keyed, spread_over

Array = jax.Array


def micro_batches(loss: Loss, size: int) -> Loss:
    """The same loss, its value and gradient averaged over pieces of `size` examples, one after the other.

    A mean over examples is the mean of the means of equal pieces, so value, metrics and gradient are those of the
    whole batch up to the order of the sums, since every example has its own key. What a loss says of the batch as a
    whole (a `batch_penalty`, a game) is said of each piece instead, a batch of its own with draws of its own: several
    devices say it of the same pieces as one.

    Args:
        loss: (params, keys [B], batch, step) -> (scalar, metrics), both means over the examples.
        size: examples in a piece; a batch that is smaller (a device's share of it) goes through in one piece.

    Returns:
        A loss for reverse-mode differentiation: the gradient is made together with the value.

    Raises:
        ValueError: if size is no positive integer, or a batch is no multiple of it.

    Example:
        >>> import jax.numpy as jnp
        >>> def loss(params, keys, batch, step):
        ...     return ((batch - params["mean"]) ** 2).mean(), {}
        >>> keys, batch = jax.random.split(jax.random.key(0), 6), jnp.arange(6.0)
        >>> gradient, _ = jax.grad(micro_batches(loss, 2), has_aux=True)({"mean": 0.0}, keys, batch, 0)
        >>> float(gradient["mean"])
        -5.0
    """
    as_function("loss", loss, "jaxvae.bound_loss(model)")
    size = positive_integer("size", size)

    def whole(params: Params, keys: Key, batch: Any, step: Array) -> tuple[Array, Metrics]:
        examples = keys.shape[0]
        if examples < size:
            return loss(params, keys, batch, step)
        if examples == size:
            with spread_over(None):
                return loss(params, keys, batch, step)
        if examples % size:
            raise ValueError(
                f"the batch holds {examples} examples, no multiple of the {size} of a micro-batch. Choose a size that "
                f"divides the batch (of each device)."
            )
        pieces = jax.tree.map(lambda leaf: leaf.reshape(-1, size, *leaf.shape[1:]), (keys, batch))

        def forward(params: Params) -> tuple[tuple[Array, Metrics], Params]:
            def of(piece: Any) -> Any:
                with spread_over(None):
                    return jax.value_and_grad(keyed(loss), has_aux=True)(params, *piece, step)

            def add(total: Any, piece: Any) -> tuple[Any, None]:
                return jax.tree.map(jax.lax.add, total, of(piece)), None

            first, rest = jax.tree.map(lambda leaf: leaf[0], pieces), jax.tree.map(lambda leaf: leaf[1:], pieces)
            total, _ = jax.lax.scan(add, of(first), rest)
            return jax.tree.map(lambda leaf: leaf * (size / examples), total)

        @jax.custom_vjp
        def averaged(params: Params) -> tuple[Array, Metrics]:
            return forward(params)[0]

        def backward(gradient: Params, cotangent: tuple[Array, Metrics]) -> tuple[Params]:
            return (jax.tree.map(lambda leaf: cotangent[0] * leaf, gradient),)

        averaged.defvjp(forward, backward)
        return averaged(without_keys(params))

    return whole
