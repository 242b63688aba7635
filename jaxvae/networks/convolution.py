"""Convolutions of one image, lowered for the backend at hand.

On a CPU the gradient of a native convolution inside a compiled loop falls to a path some ten times slower than a matrix
product (jax issue 12868), so there a convolution is written as slices and one matrix product. Elsewhere it is native.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.networks.rows import matmul_rows

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
    if stride == 1:
        return _conv_in_place(x, kernel)
    height, width, channels, features = kernel.shape
    patches = _patches(x, (height, width), stride)
    rows, columns = patches.shape[:2]
    product = matmul_rows(patches.reshape(rows * columns, -1), kernel.reshape(height * width * channels, features))
    return product.reshape(rows, columns, features)


def _conv_in_place(x: Array, kernel: Array) -> Array:
    """`conv` of stride 1: each pixel with its neighbours in the row, times all rows of the kernel; then rows are added.

    The product is [H W, k I] by [k I, k O]. Patches of k x k pixels would be k times as many numbers to write, and
    their product with [k k I, O] so narrow that a training step takes twice as long.
    """
    rows, columns, channels = x.shape
    height, width, _, features = kernel.shape
    beside = [jax.lax.pad(x, x.dtype.type(0), ((0, 0, 0), (n, -n, 0), (0, 0, 0))) for n in _shifts(width)]
    product = matmul_rows(
        jnp.concatenate(beside, -1).reshape(rows * columns, width * channels),
        kernel.transpose(1, 2, 0, 3).reshape(width * channels, height * features),
    )
    # A split, since its gradient is one concatenation; that of slices is a sum of as many padded arrays.
    parts = jax.lax.split(product.reshape(rows, columns, -1), [features] * height, axis=2)
    moved = [
        jax.lax.pad(part, part.dtype.type(0), ((n, -n, 0), (0, 0, 0), (0, 0, 0)))
        for part, n in zip(parts, _shifts(height), strict=True)
    ]
    return functools.reduce(jnp.add, moved)


def _shifts(k: int) -> list[int]:
    """By how much each of the kernel's k positions moves what it sees, to lie on the output."""
    return [(k - 1) // 2 - position for position in range(k)]


def conv_transpose(x: Array, kernel: Array, stride: int = 2, *, native: bool | None = None) -> Array:
    """The transpose of `conv`: x [H, W, I], kernel [k, k, O, I] -> [stride H, stride W, O].

    Each input pixel is multiplied by the whole kernel, in one product; what falls on the same output pixel is added.

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
    rows, columns, channels = x.shape
    height, width, features, _ = kernel.shape
    spread = matmul_rows(x.reshape(rows * columns, channels), kernel.reshape(-1, channels).T)
    return _add_overlaps(spread.reshape(rows, columns, -1), (height, width, features), stride)


def _add_overlaps(spread: Array, kernel_shape: tuple[int, int, int], stride: int) -> Array:
    """[H, W, k k O], what each input pixel gives to the k k outputs around it -> [stride H, stride W, O].

    Output row `stride i + row` gets the kernel's rows that fall on it, from input row i or a neighbour. Columns that
    one input pixel gives to one block of `stride` output columns travel together, as `stride O` channels.
    """
    height, width, features = kernel_shape
    placed_rows, placed_columns = _placements(height, stride), _placements(width, stride)
    blocks = {shift: [column for other, column in placed_columns if other == shift] for shift, _ in placed_columns}
    # A split, since its gradient is one concatenation; that of slices is a sum of as many padded arrays.
    parts = iter(jax.lax.split(spread, [features * len(b) for _ in placed_rows for b in blocks.values()], axis=2))
    lines: list[Array] = [jnp.zeros((*spread.shape[:2], stride * features), spread.dtype)] * stride
    for down, row in placed_rows:
        for right, columns in blocks.items():
            channels = (columns[0] * features, (stride - 1 - columns[-1]) * features, 0)
            shifted = jax.lax.pad(next(parts), spread.dtype.type(0), ((down, -down, 0), (right, -right, 0), channels))
            lines[row] = lines[row] + shifted
    return jnp.stack(lines, axis=1).reshape(stride * spread.shape[0], stride * spread.shape[1], features)


def _placements(k: int, stride: int) -> list[tuple[int, int]]:
    """For each of the kernel's k positions, by how many blocks of `stride` outputs it is off and where in the block."""
    before = max(k - stride, 0) // 2
    return [divmod(position - before, stride) for position in range(k)]


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
    """`conv` with its kernel and a bias; weights start as LeCun normal, or as `kernel_init` says."""

    features: int
    kernel_size: int = 3
    stride: int = 2
    native: bool | None = None
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return conv(x, kernel, self.stride, native=self.native) + bias[None, None]


class ConvTranspose(nn.Module):
    """`conv_transpose` with its kernel and a bias; weights start as LeCun normal, or as `kernel_init` says."""

    features: int
    kernel_size: int = 3
    stride: int = 2
    native: bool | None = None
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (self.kernel_size, self.kernel_size, self.features, x.shape[-1])
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return conv_transpose(x, kernel, self.stride, native=self.native) + bias[None, None]
