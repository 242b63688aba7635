"""A matrix product whose rows stay one axis under `vmap`, so that its gradient is one matrix product too."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxvae.networks.precision import in_force, rounds

Array = jax.Array


def matmul_rows(x: Array, kernel: Array) -> Array:
    """x [rows, I] @ kernel [I, O] -> [rows, O], for a kernel that the batch shares.

    Under `vmap`, `x @ kernel` keeps the batch beside the rows. The gradient of the kernel then sums over two axes,
    which XLA on a CPU cannot do without transposing its big operand: a convolutional VAE trains 1.25 times faster when
    the batch joins the rows first. Only a primitive can say so; it has every derivative and every batching that the
    operator `@` has, and computes the same numbers.

    Args:
        x: one row for each output pixel of one example.
        kernel: the weights; a kernel that is batched itself, as in a sweep, is a batch of products.

    Example:
        >>> x, kernel = jnp.ones((5, 2, 3)), jnp.ones((3, 4))
        >>> jax.vmap(matmul_rows, (0, None))(x, kernel).shape
        (5, 2, 4)
    """
    return _bind(x, kernel, patches=True)


def dense_product(x: Array, kernel: Array, *_: Any, **__: Any) -> Array:
    """x [..., I] @ kernel [I, O] -> [..., O], the same for a dense layer: the `dot_general` of a Flax `Dense`.

    With many samples of each example, two axes of `vmap` join the rows, and XLA does not write a transposed copy of
    the gradient of every sample's pixels.

    Example:
        >>> dense_product(jnp.ones(3), jnp.ones((3, 4))).shape
        (4,)
    """
    return _bind(x.reshape(-1, x.shape[-1]), kernel, patches=False).reshape(*x.shape[:-1], kernel.shape[1])


def _bind(x: Array, kernel: Array, *, patches: bool) -> Array:
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    x, kernel = x.astype(dtype), kernel.astype(dtype)
    rounded = dtype == jnp.float32 and rounds()
    options = {"transposed": False, "patches": patches, "rounded": rounded, "precision": in_force()}
    # This zero costs nothing: it marks the kernel, inside shard_map, as varying over the devices that x varies over.
    return _matmul.bind(x, kernel + jax.lax.full_like(x, 0, shape=()), **options)


def _product(x: Array, kernel: Array, *, transposed: bool, patches: bool, rounded: bool, precision: str) -> Array:
    """x @ kernel, or x @ kernel.T.

    The kernel comes as it is stored, so that its rounded copy serves the gradient too.
    """
    del patches  # of the gradient alone
    return _dot(x, kernel, (1, int(transposed)), rounded, precision)


def _dot(x: Array, y: Array, axes: tuple[int, int], rounded: bool, precision: str) -> Array:
    dimensions = (((axes[0],), (axes[1],)), ((), ()))
    if not rounded:
        # As it was where the product was written: this is lowered later, when the context manager may have ended.
        return jax.lax.dot_general(x, y, dimensions, precision=precision)
    factors = (x.astype(jnp.bfloat16), y.astype(jnp.bfloat16))
    return jax.lax.dot_general(*factors, dimensions, preferred_element_type=jnp.float32)


def _gradient_of_x(cotangent: Array, x: Any, kernel: Array, *, transposed: bool, **options: Any) -> Array:
    return _matmul.bind(cotangent, kernel, transposed=not transposed, **options)


def _gradient_of_kernel(
    cotangent: Array, x: Array, kernel: Any, *, transposed: bool, patches: bool, rounded: bool, precision: str
) -> Array:
    """x.T @ cotangent; of patches, many and narrow, the narrower on the left, which is up to three times faster.

    The barrier keeps XLA from swapping the operands when it meets a transpose.
    """
    swap = x.shape[1] > cotangent.shape[1] if patches else transposed
    left, right = (cotangent, x) if swap else (x, cotangent)
    if rounded and jax.default_backend() == "cpu":
        product = _dot(_transpose(left.astype(jnp.bfloat16)), right, (1, 0), rounded, precision)
    else:
        product = _dot(left, right, (0, 0), rounded, precision)
    product = jax.lax.optimization_barrier(product)
    return product if swap == transposed else product.T


def _transpose(x: Array) -> Array:
    """x.T, written so that XLA on a CPU does not fold it into the product, which would then be one of float32."""
    rows, columns = x.shape
    if rows % 2:
        return x.T
    return x.reshape(rows // 2, 2, columns).transpose(2, 0, 1).reshape(columns, rows)


def _batch(arguments: tuple[Array, Array], axes: tuple[int | None, int | None], **options: Any) -> tuple[Array, int]:
    (x, kernel), (x_axis, kernel_axis) = arguments, axes
    if x_axis is None or kernel_axis is not None:
        product: Any = functools.partial(_product, **options)
        return jax.vmap(product, (x_axis, kernel_axis))(x, kernel), 0
    x = jnp.moveaxis(x, x_axis, 0)
    batch, rows, _ = x.shape
    product = _matmul.bind(x.reshape(batch * rows, x.shape[2]), kernel, **options)
    return product.reshape(batch, rows, product.shape[1]), 0


def _shape(x: Any, kernel: Any, *, transposed: bool, **_: Any) -> Any:
    return x.update(shape=(x.shape[0], kernel.shape[1 - transposed]), weak_type=False)


_matmul = Primitive("matmul_rows")
_matmul.def_impl(jax.jit(_product, static_argnames=("transposed", "patches", "rounded", "precision")))
_matmul.def_abstract_eval(_shape)
mlir.register_lowering(_matmul, mlir.lower_fun(_product, multiple_results=False))
ad.defbilinear(_matmul, _gradient_of_x, _gradient_of_kernel)
batching.primitive_batchers[_matmul] = _batch

Dense = functools.partial(nn.Dense, dot_general=dense_product)  # nn.Dense, faster under vmap
