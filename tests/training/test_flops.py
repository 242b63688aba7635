"""The operations of a training step, counted in its program before it is compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxvae
from jaxvae.data.protocols import as_it_is
from jaxvae.networks.convolution import conv, conv_transpose
from jaxvae.runs.builders.flops import count_flops, flops_in_words, step_flops
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import init_state

pytestmark = pytest.mark.quick_compile
ENCODER, DECODER = ((8, 5), (5, 4)), ((2, 5), (5, 8))  # in and out of each layer; the encoder gives mean and log_var


def test_a_step_of_an_mlp_is_counted_as_by_hand_and_once_however_many_a_call_may_take():
    encoder, decoder = jaxvae.MLPEncoder(2, (5,)), jaxvae.MLPDecoder((8,), 1, (5,))
    model = jaxvae.vae(encoder, decoder, event_shape=(8,), latent_dim=2)
    optimizer, examples, batch = optax.adam(1e-3), np.zeros((30, 8), np.float32), 3
    state = init_state(model, optimizer, jax.random.key(0), examples[0])
    weights = sum(rows * columns for rows, columns in (*ENCODER, *DECODER))
    first = ENCODER[0][0] * ENCODER[0][1]  # x has no gradient
    by_hand = 2 * batch * (weights + weights + weights - first)  # the value, the weights' gradient, the inputs'
    for steps in (1, 10):
        compiled = compile_steps(
            jaxvae.bound_loss(model), optimizer, as_it_is, batch_size=batch, steps_per_call=steps, mode="jit"
        )
        assert step_flops(compiled, state, examples) == by_hand
    for mode in ("pmap", "mesh"):  # the devices do them together
        shared = compile_steps(
            jaxvae.bound_loss(model), optimizer, as_it_is, batch_size=2 * batch, steps_per_call=1, mode=mode
        )
        assert step_flops(shared, state, examples) == 2 * by_hand


@pytest.mark.parametrize("native", [True, False])
def test_a_convolution_costs_its_kernel_at_every_pixel_by_either_way(native):
    x, kernel = jnp.zeros((8, 6, 3)), jnp.zeros((4, 4, 3, 5))
    down = jax.make_jaxpr(lambda x, k: conv(x, k, native=native))(x, kernel)
    assert count_flops(down) == 2 * (4 * 3) * (4 * 4 * 3 * 5)
    up = jax.make_jaxpr(lambda x, k: conv_transpose(x, k, native=native))(jnp.zeros((4, 3, 5)), kernel)
    assert count_flops(up) == 2 * (4 * 3) * (4 * 4 * 3 * 5)


def test_loops_count_their_rounds_and_branches_the_dearest():
    a = jnp.ones((3, 3))
    once = 2 * 27
    scanned = jax.make_jaxpr(lambda a: jax.lax.scan(lambda c, _: (c @ a, None), a, None, length=7)[0])(a)
    assert count_flops(scanned) == 7 * once
    branch = jax.make_jaxpr(lambda p, a: jax.lax.cond(p, lambda b: b @ b @ b, lambda b: b @ b, a))(True, a)
    assert count_flops(branch) == 2 * once
    assert count_flops(jax.make_jaxpr(jax.jit(jax.checkpoint(lambda a: a @ a)))(a)) == once
    assert flops_in_words(2_500, 1) == "A step of 1 examples: 2.5 kFLOP in products and convolutions"
