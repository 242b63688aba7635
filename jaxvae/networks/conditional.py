"""Networks of two inputs made from networks of one: the context is appended to what the network sees."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.networks.conv import ConvEncoder
from jaxvae.networks.residual.resnet import ResNetEncoder

Array = jax.Array


class WithContext(NamedTuple):
    """A network of (x, context) made from a network of x alone, see `with_context`."""

    network: Any
    channels: bool
    embedding: int | None

    def init(self, key: Array, x: Array, context: Array) -> Any:
        """Variables: the network's, or {"network": ..., "embedding": [context.size, embedding]}."""
        if self.embedding is None:
            return self.network.init(key, self._join(x, context))
        key_network, key_embedding = jax.random.split(key)
        # Columns of this size keep the length of the context: a one-hot vector becomes a vector of length about 1.
        table = jax.random.normal(key_embedding, (context.size, self.embedding)) / math.sqrt(self.embedding)
        joined = self._join(x, context.reshape(-1) @ table)
        return {"network": self.network.init(key_network, joined), "embedding": table}

    def apply(self, variables: Any, x: Array, context: Array) -> Any:
        """What the network makes of x with the context appended."""
        if self.embedding is None:
            return self.network.apply(variables, self._join(x, context))
        joined = self._join(x, context.reshape(-1) @ variables["embedding"])
        return self.network.apply(variables["network"], joined)

    def with_outputs(self, latent_dim: int, outputs: int) -> "WithContext":
        """The same of the network for a posterior that reads so many numbers, if it can be asked."""
        ask = getattr(self.network, "with_outputs", None)
        return self if ask is None else self._replace(network=ask(latent_dim, outputs))

    def _join(self, x: Array, context: Array) -> Array:
        if not self.channels:
            return jnp.concatenate([x.reshape(-1), context.reshape(-1).astype(x.dtype)])
        if x.ndim != 3:
            raise ValueError(f"x has shape {x.shape}, expected (H, W, C) to append channels to. Drop channels=True.")
        if context.ndim != 3:
            context = jnp.broadcast_to(context.reshape(1, 1, -1), (*x.shape[:2], context.size))
        if context.shape[:2] != x.shape[:2]:
            raise ValueError(
                f"the context has shape {context.shape} and x {x.shape}, expected equal sides to append it as "
                f"channels. Pass a vector, which is repeated at every pixel, or drop channels=True."
            )
        return jnp.concatenate([x, context.astype(x.dtype)], axis=-1)


def with_context(network: Any, *, channels: bool | None = None, embedding: int | None = None) -> WithContext:
    """A network of (x, context) from any network of x: the context is appended to its input.

    network([x, context]), x and context as vectors; with `channels`, x stays an image and the context joins it as
    channels, a vector the same at every pixel.

    Args:
        network: such as `MLPEncoder`, `MLPDecoder` or `ConvDecoder`; with `channels`, `ConvEncoder` or `ResNetEncoder`.
        channels: whether x is an image [H, W, C] that the network must see as one; by default of those two only.
        embedding: the length of a learned linear embedding of the context, or None to append the context itself.

    Raises:
        ValueError, TypeError: for an impossible embedding, or later a context whose sides are not those of the image.

    Example:
        >>> from jaxvae.networks.mlp import MLPEncoder
        >>> encoder = with_context(MLPEncoder(latent_dim=2))
        >>> x, context = jnp.zeros((8, 8, 1)), jax.nn.one_hot(3, 10)
        >>> mean, log_var = encoder.apply(encoder.init(jax.random.key(0), x, context), x, context)
        >>> mean.shape
        (2,)
    """
    if not (hasattr(network, "init") and hasattr(network, "apply")):
        raise TypeError(f"network is {network!r}, expected an object with .init and .apply, such as MLPEncoder(2).")
    image = isinstance(network, ConvEncoder | ResNetEncoder) if channels is None else bool(channels)
    return WithContext(network, image, None if embedding is None else positive_integer("embedding", embedding))
