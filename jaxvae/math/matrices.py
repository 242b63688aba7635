"""Small matrices, one of each example, factorised by loops of products instead of LAPACK.

JAX's LAPACK kernels of a batch wait, on a CPU, for threads of the very pool that they run in: as many of them at a
time as there are cores (several devices, or several independent ones in a program) wait for ever, in JAX 0.10.2. What
is batched goes through here; a single matrix, shared by all examples, may go to LAPACK.
"""

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


def times(left: Array, right: Array) -> Array:
    """Product of matrices or vectors in full precision: accelerators would round the factors to 10 bits.

    Example:
        >>> times(jnp.eye(2), jnp.array([1.0, 2.0])).tolist()
        [1.0, 2.0]
    """
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


def solve_unit_lower(lower: Array, b: Array) -> Array:
    r"""x of L x = b, L = 1 + the strict lower part of `lower`, by forward substitution.

    Args:
        lower: [Z, Z], of which only what lies below the diagonal counts.
        b: [Z] or [Z, M].

    Returns:
        x, of the shape of b; of floats, in the wider precision of both.

    Example:
        >>> solve_unit_lower(jnp.full((2, 2), 3.0), jnp.ones(2)).tolist()
        [1.0, -2.0]
    """
    wide = jnp.result_type(lower, b, jnp.float32)
    return _solve(jnp.asarray(lower, wide), jnp.asarray(b, wide))


@jax.custom_jvp
def _solve(lower: Array, b: Array) -> Array:
    return _substitute(lower, b)


@_solve.defjvp
def _solve_tangent(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (lower, b), (d_lower, d_b) = primals, tangents
    x = _solve(lower, b)
    # L dx = db - dL x, linear in the tangents: its transpose keeps no state of the loop.
    return x, _substitute(lower, d_b - times(jnp.tril(d_lower, -1), x))


def _substitute(lower: Array, b: Array) -> Array:
    places = jnp.arange(len(b)).reshape(-1, *(1,) * (b.ndim - 1))

    def row(x: Array, i: Array) -> tuple[Array, None]:
        solved = jnp.where(places < i, x, 0)  # by this and not by zeros in L: zero times infinity is no number
        return x.at[i].add(-times(lower[i], solved)), None

    return jax.lax.scan(row, b, jnp.arange(len(b)))[0]


@jax.custom_jvp
def log_abs_det(matrix: Array) -> Array:
    r"""log|det A| of [Z, Z], by elimination with the largest element of a column as its pivot; -inf of a singular one.

    Source: Golub and Van Loan, 2013, Matrix Computations, section 3.4.

    Example:
        >>> round(float(log_abs_det(jnp.array([[0.0, 2.0], [-3.0, 1.0]]))), 4)  # log 6
        1.7918
    """
    return _eliminated(matrix)[0]


@log_abs_det.defjvp
def _det_tangent(primals: Any, tangents: Any) -> tuple[Array, Array]:
    size = len(primals[0])
    value, inverse = _eliminated(jnp.concatenate([primals[0], jnp.eye(size, dtype=primals[0].dtype)], axis=1))
    return value, jnp.sum(inverse[:, size:].T * tangents[0])


def _eliminated(rows: Array) -> tuple[Array, Array]:
    """Of [A, B], Z rows: log|det A|, and [1, A^-1 B]."""
    size = len(rows)
    places = jnp.arange(size)

    def column(rows: Array, j: Array) -> tuple[Array, Array]:
        largest = jnp.where(places >= j, jnp.abs(rows[:, j]), -1).argmax()
        pivot = rows[largest]
        rows = rows.at[largest].set(rows[j]).at[j].set(pivot)
        unit = pivot / pivot[j]
        others = jnp.where(places == j, 0, rows[:, j])
        return (rows - others[:, None] * unit[None]).at[j].set(unit), jnp.log(jnp.abs(pivot[j]))

    rows, logs = jax.lax.scan(column, rows, places)
    return jnp.where(jnp.isneginf(logs).any(), -jnp.inf, logs.sum()), rows  # after a pivot of 0 nothing counts


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
        return r - v[:, None] * times(v, r)[None], v

    r, mirrors = jax.lax.scan(mirror, matrix, jnp.arange(columns))
    q = jax.lax.scan(
        lambda q, v: (q - v[:, None] * times(v, q)[None], None),
        jnp.eye(rows, columns, dtype=matrix.dtype),
        mirrors,
        reverse=True,
    )[0]
    sign = jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(matrix.dtype)
    return q * sign[None], jnp.triu(r[:columns]) * sign[:, None]
