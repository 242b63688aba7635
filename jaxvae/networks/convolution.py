"""Convolutions of one image, lowered for the backend at hand.

On a CPU the gradient of a native convolution inside a compiled loop falls to a path some ten times slower than a matrix
product (jax issue 12868), so there a convolution is written as slices and one matrix product. Elsewhere it is native.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

Array = jax.Array


def conv(x: Array, kernel: Array, stride: int = 2, *, native: bool | None = None) -> Array:
    """Convolution with "SAME" padding: x [H, W, I], kernel [k, k, I, O] -> [ceil(H / stride), ceil(W / stride), O].

    Args:
        x: one image.
        kernel: as Flax lays it out.
        stride: of both axes.
        native: whether to leave it to `jax.lax`; by default, unless the backend is a CPU.

    Example:
        >>> conv(jnp.zeros((8, 6, 1)), jnp.zeros((3, 3, 1, 5))).shape
        (4, 3, 5)
    """
    if _is_native(native):
        dimensions = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x[None], kernel, (stride, stride), "SAME", dimension_numbers=dimensions)[0]
    height, width, channels, features = kernel.shape
    patches = _patches(x, (height, width), stride)
    rows, columns = patches.shape[:2]
    product = patches.reshape(rows * columns, -1) @ kernel.reshape(height * width * channels, features)
    return product.reshape(rows, columns, features)


def conv_transpose(x: Array, kernel: Array, stride: int = 2, *, native: bool | None = None) -> Array:
    """The transpose of `conv`: x [H, W, I], kernel [k, k, O, I] -> [stride H, stride W, O].

    Example:
        >>> conv_transpose(jnp.zeros((4, 3, 5)), jnp.zeros((3, 3, 1, 5))).shape
        (8, 6, 1)
    """
    if _is_native(native):
        return jax.lax.conv_transpose(
            x[None],
            kernel,
            (stride, stride),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            transpose_kernel=True,
        )[0]
    shape = (x.shape[0] * stride, x.shape[1] * stride, kernel.shape[2])
    image = jax.ShapeDtypeStruct(shape, x.dtype)
    return jax.linear_transpose(lambda y: conv(y, kernel, stride, native=False), image)(x)[0]


def _is_native(native: bool | None) -> bool:
    return jax.default_backend() != "cpu" if native is None else native


def _patches(x: Array, size: tuple[int, int], stride: int) -> Array:
    """[rows, columns, k k I]: what each output pixel sees, row by row."""
    outs, pads = [], []
    for length, k in zip(x.shape[:2], size, strict=True):
        out = -(-length // stride)
        total = max((out - 1) * stride + k - length, 0)
        outs.append(out)
        pads.append((total // 2, total - total // 2))
    padded = jnp.pad(x, (*pads, (0, 0)))
    spans = [(out - 1) * stride + 1 for out in outs]
    return jnp.concatenate(
        [padded[u : u + spans[0] : stride, v : v + spans[1] : stride] for u in range(size[0]) for v in range(size[1])],
        axis=-1,
    )


class Conv(nn.Module):
    """`conv` with its kernel and a bias; weights start as LeCun normal."""

    features: int
    kernel_size: int = 3
    stride: int = 2

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return conv(x, kernel, self.stride) + bias[None, None]


class ConvTranspose(nn.Module):
    """`conv_transpose` with its kernel and a bias; weights start as LeCun normal."""

    features: int
    kernel_size: int = 3
    stride: int = 2

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (self.kernel_size, self.kernel_size, self.features, x.shape[-1])
        kernel = self.param("kernel", nn.initializers.lecun_normal(in_axis=-1, out_axis=-2), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return conv_transpose(x, kernel, self.stride) + bias[None, None]
