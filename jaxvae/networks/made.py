"""A fully connected network whose outputs see only the inputs before them."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxvae.networks.activations import activation_named
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import check_latent, fitting
from jaxvae.networks.trunks import check_fields

Array = jax.Array


class MADE(nn.Module):
    """u [Z] (and a context) -> [Z, size], where row i depends on u_1 .. u_(i-1) and the context only.

    A unit of degree d sees inputs 1 .. d: hidden degrees run evenly over 0 .. Z-1, those of degree 0 carry the context
    alone, and row i has degree i - 1. The last layer starts at 0 unless
    `zero_start=False`; a hidden layer narrower than Z leaves some dimensions out.

    Source: Germain, Gregor, Murray and Larochelle, 2015, arXiv 1502.03509.

    Example:
        >>> network = MADE(latent_dim=3, size=2, hidden=(16,), zero_start=False)
        >>> u = jnp.array([1.0, 2.0, 3.0])
        >>> variables = network.init(jax.random.key(0), u)
        >>> rows = jax.jacobian(lambda u: network.apply(variables, u).sum(1))(u)
        >>> bool((jnp.triu(rows) == 0.0).all())
        True
    """

    latent_dim: int
    size: int
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "silu"
    zero_start: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, u: Array, context: Array | None = None) -> Array:
        check_latent(u)
        seen = tuple(range(1, self.latent_dim + 1))  # the degree of each unit of the layer at hand
        # The context enters before the first activation, and so reaches every row.
        beside = None if context is None else jnp.ravel(context)
        h = u
        with fitting("u", u):
            for width in self.hidden:
                degrees = tuple(unit * self.latent_dim // width for unit in range(width))
                h = MaskedDense(seen, degrees)(h)
                if beside is not None:
                    h, beside = h + Dense(width, use_bias=False)(beside), None
                h, seen = activation_named(self.activation)(h), degrees
            rows = tuple(row for row in range(self.latent_dim) for _ in range(self.size))
            start = nn.initializers.zeros if self.zero_start else nn.initializers.lecun_normal()
            out = MaskedDense(seen, rows, start)(h)
            if beside is not None:
                out += Dense(out.size, use_bias=False, kernel_init=start)(beside)
        return out.reshape(self.latent_dim, self.size)


class MaskedDense(nn.Module):
    """A dense layer in which an output of degree d is connected to the inputs of degree at most d.

    Example:
        >>> layer = MaskedDense((1, 2), (1,))
        >>> variables = layer.init(jax.random.key(0), jnp.ones(2))
        >>> float(layer.apply(variables, jnp.array([0.0, 9.0]))[0])
        0.0
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, h: Array) -> Array:
        mask = np.asarray(self.inputs)[:, None] <= np.asarray(self.outputs)[None, :]
        kernel = self.param("kernel", self.kernel_init, mask.shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (len(self.outputs),), jnp.float32)
        return h @ (kernel * jnp.asarray(mask, kernel.dtype)) + bias
