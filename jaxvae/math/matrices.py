"""Small matrices, one of each example, factorised by loops of products instead of LAPACK.

JAX's LAPACK kernels of a batch wait, on a CPU, for threads of the very pool that they run in: as many of them at a
time as there are cores (several devices, or several independent ones in a program) wait for ever, in JAX 0.10.2. What
is batched goes through here; a single matrix, shared by all examples, may go to LAPACK.
"""

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


@jax.custom_jvp
def solve_unit_lower(lower: Array, b: Array) -> Array:
    r"""x of L x = b, L = 1 + the strict lower part of `lower`, by forward substitution.

    Args:
        lower: [Z, Z], of which only what lies below the diagonal counts.
        b: [Z] or [Z, M].

    Returns:
        x, of the shape of b.

    Example:
        >>> solve_unit_lower(jnp.full((2, 2), 3.0), jnp.ones(2)).tolist()
        [1.0, -2.0]
    """
    return _substitute(jnp.tril(lower, -1), b)


@solve_unit_lower.defjvp
def _solve_tangent(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (lower, b), (d_lower, d_b) = primals, tangents
    x = solve_unit_lower(lower, b)
    # L dx = db - dL x, linear in the tangents: its transpose keeps no state of the loop.
    return x, _substitute(jnp.tril(lower, -1), d_b - jnp.tril(d_lower, -1) @ x)


def _substitute(strict: Array, b: Array) -> Array:
    def row(x: Array, i: Array) -> tuple[Array, None]:
        return x.at[i].add(-strict[i] @ x), None  # what comes after x_i in x is not solved yet, and is times zero

    return jax.lax.scan(row, b, jnp.arange(len(b)))[0]


def qr(matrix: Array) -> tuple[Array, Array]:
    r"""The thin Q [N, R] and R [R, R] of a matrix [N, R] with N >= R, by Householder's reflections.

    The diagonal of R is not negative, so that both are unique where the columns are independent.

    Source: Golub and Van Loan, 2013, Matrix Computations, section 5.2.

    Example:
        >>> q, r = qr(jnp.array([[3.0], [4.0]]))
        >>> q.round(1).tolist(), float(r[0, 0])
        ([[0.6000000238418579], [0.800000011920929]], 5.0)
    """
    rows, columns = matrix.shape
    places = jnp.arange(rows)

    def mirror(r: Array, j: Array) -> tuple[Array, Array]:
        below = jnp.where(places >= j, r[:, j], 0)
        largest = jax.lax.stop_gradient(jnp.abs(below).max())
        unit = below / jnp.where(largest > 0, largest, 1)  # squares of the column itself may overflow
        length = jnp.sqrt(jnp.where(largest > 0, jnp.sum(unit**2), 1))
        v = unit + jnp.where(places == j, jnp.where(r[j, j] < 0, -length, length), 0)
        v = v * jnp.sqrt(2 / jnp.sum(v**2))
        return r - v[:, None] * (v @ r)[None], v

    r, mirrors = jax.lax.scan(mirror, matrix, jnp.arange(columns))
    q = jax.lax.scan(
        lambda q, v: (q - v[:, None] * (v @ q)[None], None),
        jnp.eye(rows, columns, dtype=matrix.dtype),
        mirrors,
        reverse=True,
    )[0]
    sign = jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(matrix.dtype)
    return q * sign[None], jnp.triu(r[:columns]) * sign[:, None]
