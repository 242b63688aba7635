"""Networks that see only the past: no slope by the element itself or a later one, and a visit is the whole pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import moved

from jaxvae.networks.causal import (
    causal_transformer,
    gated_pixel_cnn,
    gated_recurrent,
    masked_network,
    masked_pixel_cnn,
    sees_only_the_past,
    visit_by_passes,
    wavenet,
)

pytestmark = pytest.mark.quick_compile
NETWORKS = {
    "pixel cnn": (gated_pixel_cnn((4, 3, 1), 2, features=2, layers=3, first=2, hidden=3), None),
    "pixel cnn, colour, told a vector": (gated_pixel_cnn((3, 3, 3), features=2, layers=2, hidden=3), (4,)),
    "pixel cnn, told a map": (gated_pixel_cnn((3, 4, 2), features=2, layers=2, first=1, reach=2), (3, 4, 2)),
    "transformer": (causal_transformer((2, 3), 2, width=8, layers=2, heads=2), None),
    "transformer of levels, told a vector": (causal_transformer((6,), width=4, layers=1, heads=1, levels=3), (4,)),
    "transformer, told a map": (causal_transformer((2, 2, 2), width=4, layers=2, heads=2), (2, 2, 3)),
    "transformer of patches, told a vector": (
        causal_transformer((4, 2), 2, width=4, layers=2, heads=2, patch=2),
        (4,),
    ),
    "masked pixel cnn": (masked_pixel_cnn((4, 3, 1), 2, features=2, layers=3, first=1, hidden=3), None),
    "masked pixel cnn, colour, told a map": (
        masked_pixel_cnn((3, 3, 2), features=8, layers=2, first=2, hidden=16, residual=False),
        (3, 3, 2),
    ),
    "wavenet": (wavenet((9,), 2, features=3, layers=4, cycle=3, hidden=12), None),
    "wavenet, told a map": (wavenet((2, 2, 2), features=3, layers=3, hidden=4), (2, 2, 3)),
    "wavenet of levels, told a vector": (wavenet((6,), features=3, layers=2, hidden=4, levels=3), (4,)),
    "gru": (gated_recurrent((2, 3), 2, width=4), None),
    "gru of levels, told a vector": (gated_recurrent((6,), width=4, levels=3), (4,)),
    "gru, told a map": (gated_recurrent((2, 2, 2), width=4), (2, 2, 3)),
    "made": (masked_network((2, 3, 2), 2, hidden=(24,)), None),
    "made, told a vector": (masked_network((5,), hidden=(10, 10)), (4,)),
}


def made(name):
    network, told = NETWORKS[name]
    context = None if told is None else jax.random.normal(jax.random.key(2), told)
    u = jax.random.normal(jax.random.key(1), network.event_shape)
    variables = moved(jax.jit(network.init)(jax.random.key(0), u, context))
    return network, jax.tree.map(np.asarray, variables), u, context  # as a run or `fit` returns them


@pytest.mark.rows(every=5)
@pytest.mark.parametrize("name", NETWORKS)
def test_no_output_sees_its_own_element_or_a_later_one(name):
    network, variables, u, context = made(name)
    assert sees_only_the_past(network, variables, u, context)


@pytest.mark.parametrize("name", ["pixel cnn", "transformer", "wavenet", "gru"])
def test_every_output_sees_all_that_is_before_it(name):
    network, variables, u, _ = made(name)
    slopes = jax.jit(jax.jacrev(lambda u: network.apply(variables, u)))(u).reshape(u.size, -1, u.size)
    seen = np.asarray(jnp.abs(slopes).max(1) > 0)
    assert seen.sum() == u.size * (u.size - 1) / 2  # three layers of a picture of 4 x 3 reach all of it


@pytest.mark.rows(every=3)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_visit_gives_the_outputs_of_the_whole_pass(name):
    network, variables, u, context = made(name)
    flat = u.ravel()
    found = jax.jit(lambda flat: network.visit(variables, lambda i, output: (flat[i], output), context))(flat)
    np.testing.assert_allclose(found, jax.jit(network.apply)(variables, u, context), atol=1e-5)
    naive = visit_by_passes(jax.jit(network.apply), variables, lambda i, output: (flat[i], output), context, u.shape)
    np.testing.assert_allclose(found, naive, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_float32_stays_float32_where_float64_is_enabled(name):
    network, told = NETWORKS[name]
    u, context = jnp.zeros(network.event_shape), None if told is None else jnp.zeros(told)
    with jax.enable_x64(True):
        variables = jax.eval_shape(network.init, jax.random.key(0), u, context)
        made = [variables, jax.eval_shape(network.apply, variables, u, context)]
        for dtype in ("float32", "float64"):  # what a pick answers in another precision is no fault of the network
            echo = jax.eval_shape(
                lambda v, c, dtype=dtype: network.visit(v, lambda i, output: (output.sum().astype(dtype), output), c),
                variables,
                context,
            )
            made.append(echo)
    assert {leaf.dtype for leaf in jax.tree.leaves(made)} == {jnp.dtype("float32")}


@pytest.mark.rows(quick=["made, told a vector", "pixel cnn, colour, told a vector"])
@pytest.mark.parametrize("name", [name for name in NETWORKS if "told" in name])
def test_two_contexts_differ_in_every_element(name):
    network, variables, u, context = made(name)
    apply = jax.jit(network.apply)
    apart = apply(variables, u, context) - apply(variables, u, context + 1.0)
    assert (jnp.abs(apart).max(-1) > 0).all()


@pytest.mark.rows(every=4)
@pytest.mark.parametrize("name", NETWORKS)
def test_other_events_and_other_contexts_than_those_of_the_variables_are_refused(name):
    network, variables, u, context = made(name)
    with pytest.raises(ValueError, match=r"expected the event \("):
        network.apply(variables, u[None], context)
    others = [jnp.zeros(3)] if context is None else [None, context[..., :-1]]
    for other in others:
        with pytest.raises(ValueError, match=r"the context is .*, expected .*, as the variables were made for"):
            network.apply(variables, u, other)
        with pytest.raises(ValueError, match=r"the context is .*, expected .*, as the variables were made for"):
            network.visit(variables, lambda index, output: (output[0], output), other)


def test_black_is_not_the_outside_of_a_picture():
    network, variables, u, _ = made("pixel cnn")
    outputs = jax.jit(network.apply)(variables, jnp.zeros_like(u))
    assert abs(float(outputs[1, 1, 0, 0] - outputs[3, 2, 0, 0])) > 1e-3


def test_a_network_that_looks_ahead_is_found_out():
    class Mean:
        def apply(self, variables, u, context=None):
            return jnp.broadcast_to(u.mean(), (*u.shape, 1))

    assert not sees_only_the_past(Mean(), {}, jnp.ones((2, 2, 1)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: gated_pixel_cnn((8, 8)), "event_shape is \\(8, 8\\), expected that of a picture"),
        (lambda: gated_pixel_cnn((8, 8, 1), layers=0), "layers is 0, expected an integer of at least 1"),
        (lambda: causal_transformer((4,), width=6, heads=4), "width is 6, expected a multiple of the 4 heads"),
        (lambda: causal_transformer((9,), patch=2), "patch is 2 .*, expected a patch that divides the 9 elements"),
        (lambda: causal_transformer((8,), patch=2, levels=3), "patch is 2 and levels 3, expected .* are numbers"),
        (lambda: masked_pixel_cnn((8, 8)), "event_shape is \\(8, 8\\), expected that of a picture"),
        (lambda: wavenet((8,), cycle=0), "cycle is 0, expected an integer of at least 1"),
        (lambda: gated_recurrent((8,), levels=1), "levels is 1, expected an integer of at least 2"),
        (lambda: masked_network((4,), 0), "size is 0, expected an integer of at least 1"),
    ],
)
def test_impossible_sizes_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
