"""Factorisations of small matrices: NumPy's in float64, derivatives, and that nothing batched goes to LAPACK."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxvae.evaluation.fitted_priors import fit_gaussian_mixture
from jaxvae.flows.elementary import smooth_map
from jaxvae.math.matrices import log_abs_det, qr, solve_unit_lower
from jaxvae.math.multivariate import full_normal_log_prob, low_rank_normal_kl, low_rank_normal_log_prob
from jaxvae.networks.causal.recurrent import gated_recurrent

pytestmark = pytest.mark.quick_compile

DRAW = np.random.default_rng(0)
BATCH, SIZE = 6, 5
L, V = np.float32(DRAW.normal(size=(BATCH, SIZE, SIZE))), np.float32(DRAW.normal(size=(BATCH, SIZE)))


@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_triangular_system_is_solved(shape):
    b = np.float32(DRAW.normal(size=(BATCH, SIZE, *shape)))
    found = jax.jit(jax.vmap(solve_unit_lower))(L, b)
    for lower, one, x in zip(L, b, found, strict=True):
        expected = np.linalg.solve(np.eye(SIZE) + np.tril(np.float64(lower), -1), np.float64(one))
        np.testing.assert_allclose(x, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("rows", [SIZE, 9])
def test_q_is_orthogonal_and_r_the_only_one_whose_diagonal_is_positive(rows):
    matrix = np.float32(DRAW.normal(size=(rows, SIZE)))
    q, r = jax.jit(qr)(matrix)
    np.testing.assert_allclose(q @ r, matrix, atol=2e-6)
    np.testing.assert_allclose(q.T @ q, np.eye(SIZE), atol=1e-6)
    expected = np.linalg.cholesky(np.float64(matrix).T @ np.float64(matrix)).T  # the only one, as its diagonal says
    np.testing.assert_allclose(r, expected, rtol=1e-4, atol=1e-5)


def test_columns_of_zeros_and_of_huge_numbers_are_factorised():
    q, r = qr(jnp.array([[3e30, 0.0], [4e30, 0.0], [0.0, 0.0]]))
    np.testing.assert_allclose(r, [[5e30, 0.0], [0.0, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(q.T @ q, np.eye(2), atol=1e-6)


def test_infinity_stays_where_it_is_and_the_wider_precision_is_kept():
    x = solve_unit_lower(jnp.zeros((2, 2)), jnp.array([1.0, jnp.inf]))
    assert x.tolist() == [1.0, np.inf]
    assert (
        float(full_normal_log_prob(jnp.array([0.0, 1e30]), *jnp.array([[0.0, 0.0], [0.0, -80.0]]), 0 * L[0, :2, :2]))
        == -np.inf
    )
    assert solve_unit_lower(jnp.full((2, 2), 0.5), jnp.ones(2, int)).tolist() == [1.0, 0.5]
    with jax.enable_x64(True):
        assert solve_unit_lower(jnp.float64(L[0]), jnp.float32(V[0])).dtype == jnp.float64


def test_determinants_are_those_of_numpy_also_of_rows_out_of_order_and_singular():
    matrices = np.float32([*DRAW.normal(size=(4, 3, 3)), np.eye(3)[::-1], np.ones((3, 3)), np.diag([1.0, 0, 1])])
    found = jax.jit(jax.vmap(log_abs_det))(matrices)
    np.testing.assert_allclose(found, [np.linalg.slogdet(np.float64(m))[1] for m in matrices], rtol=1e-5, atol=1e-6)
    bad = jnp.array([[1e-5, 0.0], [1e5, 1.0]])  # its columns are all but parallel
    assert float(log_abs_det(bad)) == pytest.approx(np.log(1e-5), rel=1e-6)


@pytest.mark.rows(slow=["q"])
@pytest.mark.parametrize("name", ["solution", "determinant", "q", "r"])
def test_derivatives_of_both_modes_agree_with_differences(name):
    functions = {
        "solution": solve_unit_lower,
        "determinant": lambda lower, b: log_abs_det(lower) * b,
        "q": lambda lower, b: qr(lower)[0] @ b,
        "r": lambda lower, b: qr(lower)[1],
    }
    with jax.enable_x64(True):
        where = jnp.float64(L[0, :3, :3]), jnp.float64(V[0, :3])
        check_grads(
            jax.jit(functions[name]), where, order=2 if name in ("solution", "determinant") else 1, rtol=1e-4, atol=1e-4
        )


def programs():
    mixture = fit_gaussian_mixture(DRAW.normal(size=(200, SIZE)), 3)
    bend = smooth_map(lambda u: u + jnp.tanh(u) / 2, lambda v: v)
    network = gated_recurrent((3,), width=4)
    return {
        "full covariance": (full_normal_log_prob, V, V, V, L),
        "low rank": (low_rank_normal_log_prob, V, V, V, L[:, :, :2]),
        "divergence of low rank": (low_rank_normal_kl, V, V, L[:, :, :2], V, V),
        "fitted mixture": (lambda z: mixture.log_prob({}, z, None), V),
        "autodiff's Jacobian": (lambda u: bend.forward({}, u, None), V),
        "start of a recurrent network": (
            lambda key: network.init(key, jnp.zeros(3), None), jax.random.split(jax.random.key(0), BATCH),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", programs())
def test_what_is_batched_does_not_go_to_lapack_and_its_products_keep_all_digits(name):
    """Several such kernels at a time wait for each other for ever, on a CPU in JAX 0.10.2."""
    function, *arguments = programs()[name]
    text = jax.jit(jax.vmap(function)).lower(*arguments).as_text()
    assert "lapack" not in text.lower()
    products = [line for line in text.splitlines() if "dot_general" in line]  # accelerators round factors to 10 bits
    assert all("precision = [HIGHEST, HIGHEST]" in line for line in products)
    assert products or name == "autodiff's Jacobian"


def test_the_search_for_lapack_finds_it():
    text = jax.jit(jax.vmap(jnp.linalg.cholesky)).lower(np.eye(SIZE, dtype=np.float32)[None] + 0 * L).as_text()
    assert "lapack" in text.lower()
