"""A batch in pieces gives the value, metrics and gradient of the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import SHAPE, images, same_bits, setup, small_vae

from jaxvae.objectives.bounds import iwae_bound
from jaxvae.training.engine.loop import train
from jaxvae.training.losses.accumulation import micro_batches
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile


def of(loss, size=12):
    model = small_vae()
    batch = jnp.asarray(images(size) > 100, jnp.float32)
    params = jax.jit(model.init)(jax.random.key(0), batch[0])
    keys = jax.random.split(jax.random.key(1), size)
    return jax.jit(jax.value_and_grad(loss, has_aux=True))(params, keys, batch, jnp.int32(3))


@pytest.mark.slow
@pytest.mark.rows(slow=["3", "6"], full=["1"])
@pytest.mark.parametrize("size", [1, 3, 4, 6])
def test_pieces_give_the_whole(size):
    loss = bound_loss(small_vae(), iwae_bound, samples=3)
    whole, pieces = of(loss), of(micro_batches(loss, size))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6), whole, pieces)


@pytest.mark.slow
def test_one_piece_is_the_whole_to_the_bit():
    loss = bound_loss(small_vae())
    assert same_bits(of(loss), of(micro_batches(loss, 12)))
    assert same_bits(of(loss), of(micro_batches(loss, 1000)))


@pytest.mark.rows(full=["jit", "pmap"])
@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_pieces_train_as_the_whole_does(mode):
    ends = []
    for loss in (bound_loss(small_vae()), micro_batches(bound_loss(small_vae()), 4)):
        state, compiled = setup(loss, batch_size=16, mode=mode)
        for report in train(compiled, state, images(64), 20):
            end = jax.device_get(report.state.params)
        ends.append(end)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *ends)


def test_a_multiple_of_the_loss_has_a_multiple_of_the_gradient():
    def squares(params, keys, batch, step):
        return ((batch - params) ** 2).mean(), {}

    keys, batch = jax.random.split(jax.random.key(0), 4), jnp.arange(4.0)
    gradient = jax.grad(lambda p: 3 * micro_batches(squares, 2)(p, keys, batch, 0)[0])(1.0)
    assert float(gradient) == pytest.approx(3 * 2 * (1.0 - 1.5))


@pytest.mark.parametrize(
    ("size", "error", "words"),
    [(0, ValueError, "size"), (-1, ValueError, "size"), (2.5, TypeError, "size"), (5, ValueError, "12 examples")],
)
def test_impossible_sizes_are_named(size, error, words):
    with pytest.raises(error, match=words):
        of(micro_batches(bound_loss(small_vae()), size))


def test_the_shape_of_the_model_is_still_checked():
    loss = micro_batches(bound_loss(small_vae()), 2)
    keys, wrong = jax.random.split(jax.random.key(0), 4), jnp.zeros((4, 16, 1))
    params = small_vae().init(jax.random.key(0), jnp.zeros(SHAPE))
    with pytest.raises(ValueError, match=r"batch has shape|x has shape"):
        loss(params, keys, wrong, jnp.int32(0))
