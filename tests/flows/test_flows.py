"""Bijections against the Jacobian that autodiff makes, against closed forms of the lecture, and at their edges."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from jaxvae.flows.amortization import amortized
from jaxvae.flows.autoregressive import autoregressive_flow, inverse_autoregressive, masked_autoregressive
from jaxvae.flows.couplings import affine_coupling, coupling, coupling_flow, neural_spline, real_nvp, spline_coupling
from jaxvae.flows.elementary import affine, linear_map, permutation, reverse_order, smooth_map
from jaxvae.flows.lu import lu_linear
from jaxvae.flows.planar_flow import above_minus_one, planar
from jaxvae.flows.radial_flow import radial
from jaxvae.flows.records import chain, invert
from jaxvae.flows.spline import spline_transform
from jaxvae.flows.transforms import affine_transform
from jaxvae.networks.causal import causal_transformer
from jaxvae.networks.conditioner import ConditionerMLP
from jaxvae.networks.made import MADE

pytestmark = pytest.mark.quick_compile

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
Z, CONTEXT = 3, 2
small = functools.partial(ConditionerMLP, hidden=(8,))
SPLINE = spline_transform(bins=4, bound=3.0)


def masked(size, latent_dim=Z):
    return MADE(latent_dim, size, hidden=(8,))


def attention():
    return causal_transformer((Z,), 2, width=4, layers=1, heads=2)


# name -> (bijection, number of dimensions, whether it is given a context)
FLOWS = {
    "affine": (affine(Z, scale=2.0, shift=1.0), Z, False),
    "permutation": (permutation([2, 0, 1]), Z, False),
    "reverse_order": (reverse_order(Z), Z, False),
    "linear_map": (linear_map([[2.0, 1.0, 0.0], [0.5, -1.0, 3.0], [0.0, 1.0, 1.0]]), Z, False),
    "smooth_map": (smooth_map(jnp.arcsinh, jnp.sinh), Z, False),
    "lu_linear": (lu_linear(Z), Z, False),
    "planar": (planar(Z), Z, False),
    "radial": (radial(Z), Z, False),
    "one-dimensional planar": (planar(1), 1, False),
    "one-dimensional radial": (radial(1), 1, False),
    "amortized": (amortized(planar(Z), small), Z, True),
    "affine_coupling": (affine_coupling(small(4), Z), Z, False),
    "affine_coupling swapped": (affine_coupling(small(2), Z, swap=True), Z, True),
    "spline_coupling": (spline_coupling(small(22), Z, bins=4), Z, True),
    "real_nvp": (real_nvp(Z, small, 3), Z, False),
    "neural_spline": (neural_spline(4, small, 2, bins=4), 4, False),
    "masked_autoregressive": (masked_autoregressive(masked(2), Z), Z, False),
    "attention": (masked_autoregressive(attention(), Z), Z, True),
    "inverse_autoregressive": (inverse_autoregressive(masked(2), Z), Z, True),
    "masked spline": (masked_autoregressive(masked(SPLINE.size), Z, SPLINE), Z, True),
    "one-dimensional autoregressive": (inverse_autoregressive(masked(2, 1), 1), 1, False),
    "inverse autoregressive flow": (autoregressive_flow(inverse_autoregressive, Z, masked, layers=2), Z, True),
    "chain": (chain(radial(Z), reverse_order(Z), affine(Z)), Z, False),
    "inverted": (invert(chain(planar(Z), affine(Z))), Z, False),
}
# The long tier, since they take long to compile and are made of what the others try.
SLOW = {"neural_spline", "masked spline", "inverse autoregressive flow", "affine_coupling swapped", "inverted"}
SLOW |= {"attention", "one-dimensional planar", "one-dimensional radial", "masked_autoregressive", "real_nvp"}
NAMES = [pytest.param(name, marks=pytest.mark.full) if name in SLOW else name for name in FLOWS]
FIXED = {"affine", "lu_linear", "permutation", "reverse_order", "linear_map", "smooth_map"}  # the same at every key
IDENTITY = {"affine_coupling", "affine_coupling swapped", "spline_coupling", "real_nvp", "masked_autoregressive"}
IDENTITY |= {"inverse_autoregressive", "one-dimensional autoregressive"} | {
    "neural_spline",
    "masked spline",
    "inverse autoregressive flow",
}


def inputs(name, count=16, scale=2.0, dtype=np.float32):
    """(u [count, Z], contexts [count, CONTEXT] or None)."""
    _, size, has_context = FLOWS[name]
    draw = np.random.default_rng(0)
    u = jnp.asarray(scale * draw.normal(size=(count, size)), dtype)
    return u, jnp.asarray(draw.normal(size=(count, CONTEXT)), dtype) if has_context else None


@functools.cache
def initial(name, key):
    u, context = inputs(name, 1)
    with jax.enable_x64(False):
        return quick_jit(FLOWS[name][0].init)(jax.random.key(key), u[0], None if context is None else context[0])


def parameters(name, key=0, noise=0.0, dtype=np.float32):
    draw = np.random.default_rng(key)
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf + noise * draw.normal(size=leaf.shape), dtype), initial(name, key)
    )


def batched(function):
    return lambda params, u, context: jax.vmap(function, (None, 0, None if context is None else 0))(params, u, context)


@functools.cache
def both_ways(name):
    """(params, u, context) -> (v, its log-determinant, u back, and that one's), and the gradients of it all."""
    bijection = FLOWS[name][0]

    def total(params, u, context):
        v, log_det = bijection.forward(params, u, context)
        back, log_det_back = bijection.inverse(params, v, context)
        return v.sum() + log_det + back.sum() + 2.0 * log_det_back, (v, log_det, back, log_det_back)

    def call(params, u, context):
        (_, parts), slopes = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)(params, u, context)
        return parts, slopes

    return quick_jit(batched(call))


@pytest.mark.rows(quick=["linear_map", "reverse_order", "permutation", "affine"])
@pytest.mark.parametrize("name", NAMES)
def test_the_inverse_undoes_and_the_log_determinant_is_that_of_the_jacobian(name):
    """Also: an inverse that undoes for all u and parameters has the derivatives 1 and 0 in them."""
    forward, inverse = FLOWS[name][0].forward, FLOWS[name][0].inverse

    def one(params, u, context):
        def image(u):
            v, log_det = forward(params, u, context)
            return v, log_det

        def undone(params, u):
            v, log_det = forward(params, u, context)
            back, log_det_back = inverse(params, v, context)
            return back @ jnp.arange(1.0, len(u) + 1.0), (back - u, log_det + log_det_back)

        jacobian, log_det = jax.jacfwd(image, has_aux=True)(u)
        (by_params, by_u), zeros = jax.grad(undone, argnums=(0, 1), has_aux=True)(params, u)
        return log_det - jnp.linalg.slogdet(jacobian)[1], zeros, by_params, by_u - jnp.arange(1.0, len(u) + 1.0)

    with jax.enable_x64(True):
        check = quick_jit(batched(one))
        for noise in (0.0, 0.5):
            u, context = inputs(name, dtype=np.float64)
            for what in jax.tree.leaves(check(parameters(name, noise=noise, dtype=np.float64), u, context)):
                np.testing.assert_allclose(what, 0.0, atol=1e-7)


@pytest.mark.rows(every=2)
@pytest.mark.rows(quick=["linear_map", "permutation", "reverse_order", "affine_coupling"])
@pytest.mark.parametrize("name", NAMES)
def test_float32_is_inverted_to_four_digits_and_finite_far_out(name):
    u, context = inputs(name, 200)
    far = jnp.concatenate([jnp.zeros_like(u[:1]), 1e-20 * jnp.sign(u[:9]), 1e3 * jnp.sign(u[10:20]), 500.0 * u[20:]])
    for key in range(4):
        near = parameters(name, key, noise=0.1 * (key > 0))
        (v, log_det, back, log_det_back), _ = both_ways(name)(near, u, context)
        assert v.shape == u.shape
        assert log_det.shape == (200,)
        np.testing.assert_allclose(back, u, atol=1e-4)
        np.testing.assert_allclose(log_det_back, -log_det, atol=1e-4)
        if name in IDENTITY and key == 0:
            np.testing.assert_allclose(v, u, atol=1e-5)
            np.testing.assert_allclose(log_det, 0.0, atol=1e-5)
        if name != "smooth_map":  # which is whatever the user's function is
            for params in (near, parameters(name, key, noise=0.5)):
                assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(both_ways(name)(params, far, context)))


@pytest.mark.parametrize("name", ["radial", "affine_coupling"])
def test_one_example_outside_jit_is_the_same_as_in_a_batch(name):
    (u, context), params = inputs(name, 200), parameters(name, noise=0.1)
    (v, log_det, _, _), _ = both_ways(name)(params, u, context)
    alone = FLOWS[name][0].forward(params, u[7], None if context is None else context[7])
    np.testing.assert_allclose(alone[0], v[7], atol=1e-5)
    np.testing.assert_allclose(alone[1], log_det[7], atol=1e-5)


@pytest.mark.rows(every=3)
@pytest.mark.parametrize("name", FLOWS)
def test_float32_stays_float32_where_float64_is_enabled(name):
    bijection, size, has_context = FLOWS[name]
    u, context = jnp.zeros(size), jnp.zeros(CONTEXT) if has_context else None
    with jax.enable_x64(True):
        params = jax.eval_shape(bijection.init, jax.random.key(0), u, context)
        made = [params, jax.eval_shape(bijection.forward, params, u, context)]
        made.append(jax.eval_shape(bijection.inverse, params, u, context))
    assert {leaf.dtype for leaf in jax.tree.leaves(made)} == {jnp.dtype("float32")}


@pytest.mark.rows(every=3)
@pytest.mark.parametrize("name", NAMES)
def test_a_key_decides_the_parameters(name):
    u, context = inputs(name, 1)
    again = quick_jit(FLOWS[name][0].init)(jax.random.key(0), u[0], None if context is None else context[0])
    same, again, other = (jax.tree.leaves(params) for params in (initial(name, 0), again, initial(name, 1)))
    assert all((a == b).all() for a, b in zip(same, again, strict=True))
    assert all((a == b).all() for a, b in zip(same, other, strict=True)) == (name in FIXED)


@pytest.mark.rows(slow=["spline_coupling"])
@pytest.mark.parametrize("name", [name for name, flow in FLOWS.items() if flow[2] and name not in SLOW])
def test_the_context_changes_the_map(name):
    (u, context), params = inputs(name, 200), parameters(name, noise=0.5)
    here, there = (both_ways(name)(params, u, c)[0][0] for c in (context, context + 1.0))
    assert np.abs(here - there).max() > 1e-3


def test_y_is_two_x_plus_one_halves_the_density_of_the_unit_interval():
    double = affine(1, scale=2.0, shift=1.0)
    params = jax.jit(double.init)(jax.random.key(0), jnp.zeros(1), None)
    grid = jnp.linspace(0.0, 4.0, 4001)[:, None]
    u, log_det = jax.vmap(double.inverse, (None, 0, None))(params, grid, None)
    density = np.where((u[:, 0] >= 0.0) & (u[:, 0] < 1.0), np.exp(log_det), 0.0)
    assert np.allclose(density[(grid[:, 0] > 1.001) & (grid[:, 0] < 2.999)], 0.5)
    assert density.sum() * 0.001 == pytest.approx(1.0, abs=2e-3)


def test_a_matrix_scales_area_by_its_determinant():
    a, b, c, d = 2.0, 1.0, -0.5, 3.0
    shear = linear_map([[a, b], [c, d]])
    corners = np.array(
        [shear.forward({}, jnp.array(corner), None)[0] for corner in [(0.0, 0.0), (1.0, 0), (1.0, 1), (0.0, 1)]]
    )
    x, y = corners.T
    shoelace = 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))
    assert float(jnp.exp(shear.forward({}, jnp.zeros(2), None)[1])) == pytest.approx(shoelace, rel=1e-6)
    assert shoelace == pytest.approx(a * d - b * c)
    assert corners[1].tolist() == [a, c]  # (1, 0) maps to the first column


def test_layers_apply_in_the_order_named():
    both = chain(affine(1, scale=2.0), affine(1, shift=3.0))
    params = jax.jit(both.init)(jax.random.key(0), jnp.zeros(1), None)
    assert float(both.forward(params, jnp.ones(1), None)[0][0]) == pytest.approx(5.0)
    back = invert(both).forward(params, jnp.array([5.0]), None)
    assert float(back[0][0]) == pytest.approx(1.0)
    assert float(back[1]) == pytest.approx(-math.log(2.0))


@pytest.mark.rows(slow=["-50.0"])
@pytest.mark.parametrize("raw", [-50.0, -3.0, -0.1, 0.0, 0.1, 3.0])
def test_planar_keeps_its_condition_and_is_the_papers_map_where_nothing_needs_mending(raw):
    """w . s > -1 for every u_raw; s = u_raw where w . u_raw >= 0; the map by its definition in float64."""
    with jax.enable_x64(True):
        layer, w = planar(3), jnp.array([0.5, -1.0, 2.0])
        params = {"w": w, "u_raw": raw * w / (w @ w) + jnp.array([2.0, 1.0, 0.0]), "b": jnp.array(0.3)}
        at_zero = params | {"b": jnp.array(10.0)}  # tanh = 1: the step itself
        step = layer.forward(at_zero, jnp.zeros(3), None)[0] / np.tanh(10.0)
        assert -1.0 < float(w @ step) == pytest.approx(float(above_minus_one(jnp.float64(raw))), abs=1e-12)
        if raw >= 0.0:
            np.testing.assert_allclose(step, params["u_raw"], atol=1e-12)
        u = jnp.array([0.2, 0.7, -0.4])
        expected = u + step * np.tanh(float(w @ u) + 0.3)
        np.testing.assert_allclose(layer.forward(params, u, None)[0], expected, atol=1e-12)


@pytest.mark.slow
def test_planar_and_radial_survive_vanishing_and_huge_parameters():
    for layer in (planar(2), radial(2)):

        def both(params, u, layer=layer):
            (v, a), (back, b) = layer.forward(params, u, None), layer.inverse(params, u, None)
            return v.sum() + a + back.sum() + b

        slopes, params = quick_jit(jax.grad(both, (0, 1))), layer.init(jax.random.key(0), jnp.zeros(2), None)
        for size in (0.0, 1e-25, 1e-12, 1e3):
            filled = jax.tree.map(lambda leaf, size=size: jnp.full_like(leaf, -size), params)
            for u in (jnp.zeros(2), jnp.array([-1e3, 1e3]), jnp.full(2, -size)):
                assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes(filled, u)))


@pytest.mark.slow
def test_the_spline_meets_its_knots_with_its_slopes_and_agrees_with_exact_arithmetic():
    """Knots from the definition in 100-digit arithmetic; between them Gregory and Delbourgo's interpolant."""
    bins, bound, least = 4, 3.0, 0.01
    raw = np.random.default_rng(1).normal(size=SPLINE.size) * 2
    with mpmath.workdps(50):

        def edges(part):
            weights = [mpmath.exp(r) for r in part]
            shares = [least + (1 - least * bins) * w / mpmath.fsum(weights) for w in weights]
            return [2 * bound * mpmath.fsum(shares[:k]) - bound for k in range(bins + 1)]

        xs, ys = edges(raw[:bins]), edges(raw[bins : 2 * bins])
        slopes = [mpmath.mpf(1), *(mpmath.exp(3 * mpmath.tanh(r / 3)) for r in raw[2 * bins :]), mpmath.mpf(1)]

        def interpolant(u):
            k = max(k for k in range(bins) if xs[k] <= u)
            w, h = xs[k + 1] - xs[k], ys[k + 1] - ys[k]
            s, t = h / w, (u - xs[k]) / w
            top = ys[k + 1] * t**2 + (ys[k] * slopes[k + 1] + ys[k + 1] * slopes[k]) / s * t * (1 - t)
            top += ys[k] * (1 - t) ** 2
            return top / (t**2 + (slopes[k + 1] + slopes[k]) / s * t * (1 - t) + (1 - t) ** 2)

        points = [*map(float, xs[1:-1]), *np.linspace(-2.99, 2.99, 41)]
        exact = [float(interpolant(u)) for u in points]
        exact_slope = [float(mpmath.diff(interpolant, u)) for u in points[bins - 1 :]]
    with jax.enable_x64(True):
        spline, ends = quick_jit(jax.vmap(SPLINE.forward, (None, 0))), [-bound, bound, -7.0, 7.0]
        found = spline(jnp.asarray(raw), jnp.asarray([*points, *ends]))
        v, log_slope = (part[:-4] for part in found)
        np.testing.assert_allclose(v, exact, atol=1e-12)
        np.testing.assert_allclose(v[: bins - 1], [float(y) for y in ys[1:-1]], atol=1e-12)
        np.testing.assert_allclose(np.exp(log_slope[bins - 1 :]), exact_slope, rtol=1e-9)
        np.testing.assert_allclose(np.exp(log_slope[: bins - 1]), [float(d) for d in slopes[1:-1]], rtol=1e-9)
        np.testing.assert_allclose(found[0][-4:], ends)
        np.testing.assert_allclose(found[1][-4:], 0.0)


@pytest.mark.parametrize("size", [1.0, 3.0, 10.0])
def test_a_steep_spline_is_inverted_as_well_as_float32_can_say(size):
    """Against float64: u moves v by its slope, so that much of u's rounding must be seen; the log-slope must agree."""
    spline, rng = spline_transform(8, 5.0), np.random.default_rng(0)
    raw = (size * rng.normal(size=(2000, spline.size))).astype(np.float32)
    v = rng.uniform(-5.0, 5.0, 2000).astype(np.float32)

    def there_and_back(raw, v):
        u, log_slope = spline.inverse(raw, v)
        return u, log_slope, *spline.forward(raw, u), jax.grad(lambda v: spline.inverse(raw, v)[0])(v)

    with jax.enable_x64(True):
        both = jax.jit(jax.vmap(there_and_back))
        u, log_slope, back, back_slope, by_v = (np.asarray(leaf, np.float64) for leaf in both(raw, v))
        exact = [np.asarray(leaf) for leaf in both(jnp.asarray(raw, jnp.float64), jnp.asarray(v, jnp.float64))]
    steepness = np.maximum(1.0, np.exp(back_slope))
    assert (np.abs(back - v) / steepness).max() < 4e-6
    assert np.abs(log_slope + back_slope).max() < 2e-3
    assert np.abs(log_slope - exact[1]).max() < 3e-3  # 0.3 where the discriminant cancels
    np.testing.assert_allclose(u, exact[0], atol=5e-4)
    np.testing.assert_allclose(by_v, exact[4], rtol=3e-3)


def test_a_bounded_scale_is_smooth_and_bounded():
    slopes = [affine_transform(2.0).forward(jnp.array([raw, 0.0]), jnp.float32(1.0))[1] for raw in (-1e6, 1e-4, 1e6)]
    np.testing.assert_allclose(slopes, [-2.0, 1e-4, 2.0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("latent_dim", "hidden"), [(1, (4,)), (2, ()), (5, (16,)), (5, (8, 4, 16))])
def test_the_masked_network_sees_exactly_the_past(latent_dim, hidden):
    network = MADE(latent_dim, 2, hidden, zero_start=False)
    u, context = jnp.arange(1.0, latent_dim + 1.0), jnp.ones(CONTEXT)
    variables = quick_jit(network.init)(jax.random.key(0), u, context)
    value, slopes = quick_jit(lambda *a: (network.apply(*a), jax.jacobian(network.apply, (1, 2))(*a)))(
        variables, u, context
    )
    by_u, by_context = (np.abs(slope).sum(1) for slope in slopes)
    assert value.shape == (latent_dim, 2)
    assert (np.triu(by_u) == 0.0).all()
    if min(hidden, default=latent_dim) >= latent_dim:
        assert (by_u[np.tril_indices(latent_dim, -1)] > 0.0).all()
    assert (by_context > 0.0).all()


def test_a_causal_network_makes_one_element_after_the_other_as_whole_passes_of_it_do():
    class ByPasses(NamedTuple):
        init: Any
        apply: Any

    network, u, context = attention(), jnp.array([0.5, -1.0, 2.0]), jnp.ones(CONTEXT)
    layers = [masked_autoregressive(n, Z) for n in (network, ByPasses(network.init, network.apply))]
    params = layers[0].init(jax.random.key(0), u, context)
    (v, log_det), (expected, log_det_expected) = (quick_jit(layer.forward)(params, u, context) for layer in layers)
    np.testing.assert_allclose(v, expected, rtol=1e-5)
    assert float(log_det) == pytest.approx(float(log_det_expected), rel=1e-5)
    assert float(jnp.abs(v - u).max()) > 0.1
    back, log_det_back = quick_jit(layers[0].inverse)(params, v, context)
    np.testing.assert_allclose(back, u, atol=1e-5)
    assert float(log_det_back) == pytest.approx(-float(log_det), rel=1e-4)


@pytest.mark.slow
def test_the_two_autoregressive_directions_are_each_others_mirror():
    """MAF's inverse and IAF's forward are one pass of the same network, with the affine map read both ways."""
    network = MADE(Z, 2, (8,), zero_start=False)
    maf, iaf = masked_autoregressive(network, Z), inverse_autoregressive(network, Z)
    u = jnp.array([0.5, -1.0, 2.0])

    @quick_jit
    def call(key):
        params = jax.jit(maf.init)(key, u, None)
        return network.apply(params["network"], u), iaf.forward(params, u, None)[0], maf.inverse(params, u, None)[0]

    raw, forward, inverse = call(jax.random.key(0))
    scale = np.exp(3.0 * np.tanh(raw[:, 0] / 3.0))
    np.testing.assert_allclose(forward, scale * u + raw[:, 1], rtol=1e-5)
    np.testing.assert_allclose(inverse, (u - raw[:, 1]) / scale, rtol=1e-5)


KEY, ZERO = jax.random.key(0), jnp.zeros(Z)


def start(bijection, u=ZERO, context=None):
    """Calls init and then both directions."""
    params = jax.jit(bijection.init)(KEY, u, context)
    bijection.inverse(params, u, context)
    return bijection.forward(params, u, context)


BAD = {
    "empty chain": (lambda: chain(), ValueError, "chain was given no bijections"),
    "chain of a constructor": (lambda: chain(planar), TypeError, "no Bijection"),
    "invert a constructor": (lambda: invert(planar), TypeError, "no Bijection"),
    "zero dimensions": (lambda: planar(0), ValueError, "latent_dim is 0"),
    "half a dimension": (lambda: radial(2.5), TypeError, "latent_dim is 2.5"),
    "negative affine": (lambda: affine(-1), ValueError, "latent_dim is -1"),
    "scale 0": (lambda: affine(2, scale=0.0), ValueError, "scale is 0.0"),
    "shift NaN": (lambda: affine(2, shift=math.nan), ValueError, "shift is nan"),
    "order with a hole": (lambda: permutation([0, 2]), ValueError, "order is"),
    "empty order": (lambda: permutation([]), ValueError, "order is"),
    "reverse of 0": (lambda: reverse_order(0), ValueError, "latent_dim is 0"),
    "oblong matrix": (lambda: linear_map(np.ones((2, 3))), ValueError, "square"),
    "singular matrix": (lambda: linear_map([[1.0, 2.0], [2.0, 4.0]]), ValueError, "no inverse"),
    "matrix with NaN": (lambda: linear_map([[math.nan]]), ValueError, "no inverse"),
    "function that drops": (lambda: start(smooth_map(lambda u: u[1:], jnp.log)), ValueError, "same shape"),
    "coupling of one": (lambda: affine_coupling(small(2), 1), ValueError, "at least 2"),
    "coupling without transform": (lambda: coupling(small(2), 2, affine_transform), TypeError, "transform is"),
    "no layers": (lambda: real_nvp(2, small, 0), ValueError, "layers is 0"),
    "splines of one dimension": (lambda: neural_spline(1, small), ValueError, "at least 2"),
    "flow of nothing": (lambda: coupling_flow(2, small, None), TypeError, "transform is None"),
    "coupling network too small": (lambda: start(affine_coupling(small(3), Z)), ValueError, "expected (4,)"),
    "coupling network of the other half": (lambda: start(spline_coupling(small(23), Z)), ValueError, "expected (46,)"),
    "one bin": (lambda: spline_transform(1), ValueError, "bins is 1"),
    "bound 0": (lambda: spline_transform(bound=0.0), ValueError, "bound is 0.0"),
    "shares above the whole": (lambda: spline_transform(8, least=0.2), ValueError, "least is 0.2"),
    "limit of a scale": (lambda: affine_transform(-1.0), ValueError, "limit is -1.0"),
    "dense for masked": (lambda: start(masked_autoregressive(small(6), Z)), ValueError, "expected (3, 2)"),
    "no autoregressive layers": (
        lambda: autoregressive_flow(masked_autoregressive, Z, masked, layers=-1), ValueError, "layers is -1",
    ),
    "another dimension": (lambda: start(planar(2)), ValueError, "expected one vector (2,)"),
    "a batch": (lambda: start(affine(Z), jnp.zeros((5, Z))), ValueError, "jax.vmap"),
    "integers": (lambda: start(affine(Z), jnp.arange(Z)), TypeError, "float array"),
    "amortized without context": (lambda: start(amortized(planar(Z), small)), ValueError, "context is None"),
    "amortized nothing": (lambda: start(amortized(reverse_order(Z), small), ZERO, ZERO), ValueError, "no parameters"),
    "amortized by one size": (
        lambda: start(amortized(planar(Z), lambda size: small(3)), ZERO, ZERO), ValueError, "expected (7,)",
    ),
    "amortized constructor": (lambda: amortized(planar, small), TypeError, "no Bijection"),
    "masked of 0": (lambda: MADE(0, 2), ValueError, "latent_dim is 0"),
    "masked width 0": (lambda: MADE(2, 2, (0,)), ValueError, "hidden is 0"),
    "masked batch": (lambda: masked(2).init(KEY, jnp.zeros((5, Z))), ValueError, "jax.vmap"),
    "conditioner of 0": (lambda: ConditionerMLP(0), ValueError, "size is 0"),
    "unknown activation": (lambda: ConditionerMLP(2, activation="tanhh"), ValueError, "Did you mean 'tanh'"),
}  # fmt: skip


@pytest.mark.rows(every=3)
@pytest.mark.rows(slow=["unknown activation"])
@pytest.mark.parametrize("name", BAD)
def test_impossible_options_are_named(name):
    call, error, words = BAD[name]
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
