"""Bijections of pictures against autodiff's Jacobian, their inverses in float32, and what data start."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.flows.events import from_logits, unflatten
from jaxvae.flows.images import actnorm, channel_coupling, checkerboard, glow, masked_coupling, split, squeezed
from jaxvae.flows.lu import lu_linear
from jaxvae.flows.spline import spline_transform
from jaxvae.models.densities.flow import flow_model
from jaxvae.networks.conditioner import ConditionerConv

pytestmark = pytest.mark.quick_compile

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
small = functools.partial(ConditionerConv, features=4)
KEY, CONTEXT = jax.random.key(0), 2

# name -> (bijection, shape of u, shape of v, whether it is given a context)
FLOWS = {
    "squeezed": (squeezed((4, 2, 2)), (2, 1, 8), (4, 2, 2), False),
    "actnorm": (actnorm(3), (2, 2, 3), (2, 2, 3), False),
    "lu_linear": (lu_linear(3), (2, 2, 3), (2, 2, 3), False),
    "unflatten": (unflatten((2, 2, 1)), (4,), (2, 2, 1), False),
    "unflatten patches": (unflatten((2, 6, 2), patch=2), (24,), (2, 6, 2), False),
    "from_logits": (from_logits(0.05), (2, 2, 1), (2, 2, 1), False),
    "channel_coupling": (channel_coupling(small(4), (2, 2, 3)), (2, 2, 3), (2, 2, 3), True),
    "masked_coupling": (masked_coupling(small(1 * 2), checkerboard((3, 2, 1))), (3, 2, 1), (3, 2, 1), False),
    "masked spline, odd": (
        masked_coupling(small(11), checkerboard((2, 2, 1), odd=True), spline_transform(4)), (2, 2, 1), (2, 2, 1), True
    ),
    "split": (split(unflatten((2, 2, 1)), small(2), (2, 2, 2)), (8,), (2, 2, 2), True),
    "glow": (glow((4, 4, 1), small, scales=2, steps=2), (16,), (4, 4, 1), False),
    "glow of one scale, coloured": (glow((2, 2, 3), small, scales=1, steps=1), (12,), (2, 2, 3), False),
}  # fmt: skip
SLOW = {"masked spline, odd", "glow of one scale, coloured", "split", "glow", "masked_coupling"}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in FLOWS]


def shaken(name, noise, dtype=jnp.float32):
    """Parameters moved from where they start, strongly."""
    bijection, shape, _, told = FLOWS[name]
    with jax.enable_x64(False):
        params = quick_jit(bijection.init)(KEY, jnp.zeros(shape), jnp.zeros(CONTEXT) if told else None)
    draw = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf + noise * draw.normal(size=leaf.shape), dtype), params)


def inputs(name, count, dtype=np.float32):
    draw = np.random.default_rng(1)
    u = jnp.asarray(draw.normal(size=(count, *FLOWS[name][1])), dtype)
    return u, jnp.asarray(draw.normal(size=(count, CONTEXT)), dtype) if FLOWS[name][3] else None


@pytest.mark.parametrize("name", NAMES)
def test_the_inverse_undoes_and_the_log_determinant_is_that_of_the_jacobian(name):
    bijection, _, shape, _ = FLOWS[name]

    def one(params, u, context):
        def image(flat):
            v, log_det = bijection.forward(params, flat.reshape(u.shape), context)
            return v.ravel(), log_det

        jacobian, log_det = jax.jacfwd(image, has_aux=True)(u.ravel())
        v, _ = bijection.forward(params, u, context)
        back, log_det_back = bijection.inverse(params, v, context)
        return v, log_det - jnp.linalg.slogdet(jacobian)[1], back - u, log_det + log_det_back

    with jax.enable_x64(True):
        (u, context), params = inputs(name, 4, np.float64), shaken(name, 0.3, np.float64)
        v, *zeros = quick_jit(jax.vmap(one, (None, 0, None if context is None else 0)))(params, u, context)
    assert v.shape[1:] == shape
    for what in zeros:
        np.testing.assert_allclose(what, 0.0, atol=1e-7)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("squeezed", "unflatten")])
def test_float32_is_inverted_to_four_digits_with_weights_that_are_far_from_the_start(name):
    bijection, _, _, told = FLOWS[name]
    (u, context), params = inputs(name, 50), shaken(name, 0.1)

    def there_and_back(params, u, context):
        v, log_det = bijection.forward(params, u, context)
        return v, *bijection.inverse(params, v, context), log_det

    v, back, log_det_back, log_det = quick_jit(jax.vmap(there_and_back, (None, 0, 0 if told else None)))(
        params, u, context
    )
    np.testing.assert_allclose(back, u, atol=1e-4)
    np.testing.assert_allclose(log_det_back, -log_det, atol=1e-4)
    assert np.abs(np.ravel(v) - np.ravel(u)).max() > 0.1


def test_squeezed_keeps_neighbours_together_by_hand():
    v = np.arange(16.0).reshape(4, 4, 1)
    u, _ = squeezed((4, 4, 1)).inverse({}, jnp.asarray(v), None)
    for row in range(2):
        for column in range(2):
            block = v[2 * row : 2 * row + 2, 2 * column : 2 * column + 2, 0].ravel()
            assert u[row, column].tolist() == block.tolist()


@pytest.mark.slow
def test_every_actnorm_of_a_glow_starts_from_the_data_that_reach_it():
    rng = np.random.default_rng(0)
    data = (5.0 + rng.normal(size=(200, 4, 4, 1)) * np.linspace(0.5, 3.0, 4)[:, None]).astype(np.float32)
    flow = glow((4, 4, 1), small, scales=2, steps=2)
    params = quick_jit(flow_model(flow, event_shape=(4, 4, 1), data=data).init)(KEY, data[0])["flow"]
    u, _ = quick_jit(jax.vmap(flow.inverse, (None, 0, None)))(params, data, None)
    leaving = u[:, 8:]
    assert leaving.reshape(200, 2, 2, 2).mean((0, 1, 2)) == pytest.approx(np.zeros(2), abs=1e-4)
    assert leaving.reshape(200, 2, 2, 2).std((0, 1, 2)) == pytest.approx(np.ones(2), abs=0.05)  # after a rotation
    assert u[:, :8].mean(0) == pytest.approx(np.zeros(8), abs=1e-4)
    assert u[:, :8].std(0) == pytest.approx(np.ones(8), abs=1e-3)


def test_a_checkerboard_colours_every_field_once():
    even, odd = checkerboard((3, 4, 2)), checkerboard((3, 4, 2), odd=True)
    assert (even != odd).all()
    assert even[0, 0].all()
    assert not even[0, 1].any()


def test_a_coupling_leaves_what_decides_and_does_not_look_at_what_it_moves():
    bijection, shape = FLOWS["masked_coupling"][0], (3, 2, 1)
    params, mask = shaken("masked_coupling", 0.5), checkerboard(shape)
    slopes = quick_jit(jax.jacfwd(lambda u: bijection.forward(params, u, None)[0]))(jnp.ones(shape)).reshape(6, 6)
    seen = mask.ravel()
    assert (slopes[seen] == np.eye(6)[seen]).all()
    moved = slopes[~seen][:, ~seen]
    assert (moved == np.diag(np.diag(moved))).all()
    assert (slopes[~seen][:, seen] != 0).any()


def start(bijection, shape):
    return bijection.forward(bijection.init(KEY, jnp.zeros(shape), None), jnp.zeros(shape), None)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: squeezed((7, 8, 1)), "sides are not both even"),
        (lambda: squeezed((8, 8)), "expected that of a picture"),
        (
            lambda: unflatten((6, 4, 1), patch=4),
            "patch is 4, expected a divisor of both sides of a picture, here (6, 4, 1)",
        ),
        (lambda: glow((28, 28, 1), small, scales=3), "(28, 28, 1), whose sides do not halve 3 times"),
        (lambda: glow((4, 4, 1), small, scales=0), "scales is 0"),
        (lambda: channel_coupling(small(2), (4, 4, 1)), "at least 2 channels"),
        (lambda: start(channel_coupling(small(3), (4, 4, 2)), (4, 4, 2)), "expected (4, 4, 2)"),
        (lambda: masked_coupling(small(2), np.ones((4, 4, 1), bool)), "some true and some false"),
        (lambda: masked_coupling(small(2), np.ones((4, 4, 1))), "mask has dtype float64"),
        (lambda: actnorm(0), "channels is 0"),
        (lambda: actnorm(2).forward(actnorm(2).init(KEY, None, None), jnp.zeros((2, 3)), None), "last axis of 2"),
        (lambda: start(squeezed((4, 4, 1)), (4, 4, 1)), "expected one example (2, 2, 4)"),
        (lambda: ConditionerConv(0), "size is 0"),
    ],
)
def test_impossible_pictures_are_named(call, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
