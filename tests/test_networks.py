"""Networks: shapes, impossible options, and the CPU's convolution against the native one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from jaxvae.models.vae import vae
from jaxvae.networks import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder, from_nnx
from jaxvae.networks.convolution import conv, conv_transpose
from jaxvae.training.losses import bound_loss


@pytest.mark.parametrize("function", [conv, conv_transpose])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 10), (1, 5)])
@pytest.mark.parametrize(("size", "stride"), [(3, 2), (4, 2), (5, 3), (3, 1)])
def test_the_matrix_product_is_the_native_convolution_in_value_and_gradient(function, height, width, size, stride):
    channels = 3 if function is conv else 4
    x = jax.random.normal(jax.random.key(0), (2, height, width, channels))
    kernel = jax.random.normal(jax.random.key(1), (size, size, 3, 4)) / size

    def value(native):
        def loss(x, kernel):
            outputs = jax.vmap(lambda one: function(one, kernel, stride, native=native))(x)
            return jnp.sin(outputs).sum(), outputs

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)

    for ours, native in zip(jax.tree.leaves(value(False)), jax.tree.leaves(value(True)), strict=True):
        assert ours.shape == native.shape
        np.testing.assert_allclose(ours, native, rtol=1e-5, atol=1e-5)


def test_a_convolution_in_a_compiled_loop_has_the_gradient_of_one_outside():
    x = jax.random.normal(jax.random.key(0), (8, 8, 1))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 1, 2))

    def slope(kernel):
        return jax.grad(lambda k: jnp.square(conv(x, k)).sum())(kernel)

    looped = jax.jit(lambda k: jax.lax.scan(lambda c, _: (c + slope(k), None), jnp.zeros_like(k), None, 2)[0])
    np.testing.assert_allclose(looped(kernel), 2 * slope(kernel), rtol=1e-5)


PAIRS = {
    "mlp": (MLPEncoder(3, (8, 6)), lambda shape, channels: MLPDecoder(shape, channels, (6, 8))),
    "linear": (MLPEncoder(3, ()), lambda shape, channels: MLPDecoder(shape, channels, ())),
    "conv": (ConvEncoder(3, (4, 6), 8), lambda shape, channels: ConvDecoder(shape, channels, (4, 6), 8)),
    "one conv layer": (ConvEncoder(3, (4,), 8), lambda shape, channels: ConvDecoder(shape, channels, (4,), 8)),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("shape", "channels"), [((8, 4, 1), 1), ((4, 12, 3), 2)])
def test_encoders_give_mean_and_log_var_and_decoders_the_channels_asked_for(name, shape, channels):
    encoder, make = PAIRS[name]
    decoder = make(shape, channels)
    x, z = jnp.ones(shape), jnp.ones(3)
    mean, log_var = jax.eval_shape(lambda: encoder.apply(encoder.init(jax.random.key(0), x), x))
    assert mean.shape == log_var.shape == (3,)
    outputs = jax.eval_shape(lambda: decoder.apply(decoder.init(jax.random.key(0), z), z))
    assert outputs.shape == (*shape[:-1], shape[-1] * channels)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: MLPEncoder(0), ValueError, "latent_dim is 0"),
        (lambda: MLPEncoder(-1), ValueError, "latent_dim is -1"),
        (lambda: MLPEncoder(2.5), TypeError, "latent_dim is 2.5"),
        (lambda: MLPEncoder("4"), TypeError, "latent_dim is '4'"),
        (lambda: ConvEncoder(True), TypeError, "latent_dim is True"),
        (lambda: MLPEncoder(2, (8, 0)), ValueError, "hidden is 0"),
        (lambda: MLPEncoder(2, 400), TypeError, "hidden is 400, expected a tuple"),
        (lambda: MLPEncoder(2, activation="rleu"), ValueError, "'rleu'.*Did you mean 'relu'"),
        (lambda: MLPDecoder((8, 8, 0)), ValueError, "event_shape is 0"),
        (lambda: MLPDecoder((8, 8, 1), channels=0), ValueError, "channels is 0"),
        (lambda: ConvEncoder(2, ()), ValueError, "features is ()"),
        (lambda: ConvEncoder(2, (4, -4)), ValueError, "features is -4"),
        (lambda: ConvEncoder(2, dense=0), ValueError, "dense is 0"),
        (lambda: ConvDecoder((28, 28)), ValueError, r"\(28, 28\), expected one image \(H, W, C\)"),
        (lambda: ConvDecoder((30, 28, 1)), ValueError, r"\(30, 28, 1\).*multiples of 4.*32 x 28"),
    ],
)
def test_impossible_layers_are_refused_when_they_are_made(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("shape", [(30, 28, 1), (28, 28), (2, 28, 28, 1)])
def test_an_image_that_the_strides_do_not_allow_is_refused(shape):
    with pytest.raises(ValueError, match="x has shape"):
        jax.eval_shape(ConvEncoder(2).init, jax.random.key(0), jnp.zeros(shape))


class NnxEncoder(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(16, 8, rngs=rngs), nnx.Linear(8, 6, rngs=rngs)])

    def __call__(self, x):
        h = self.layers[1](nnx.relu(self.layers[0](x.reshape(-1))))
        return h[:3], h[3:]


class LinenEncoder(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.relu(nn.Dense(8)(x.reshape(-1)))
        return nn.Dense(3)(h), nn.Dense(3)(h)


@pytest.mark.parametrize("encoder", [from_nnx(lambda rngs: NnxEncoder(rngs)), LinenEncoder()], ids=["nnx", "linen"])
def test_a_users_own_network_trains(encoder):
    model = vae(encoder, MLPDecoder((4, 4, 1), hidden=(8,)), event_shape=(4, 4, 1), latent_dim=3)
    x = jnp.zeros((6, 4, 4, 1)).at[:3].set(1.0)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    assert all(isinstance(key, str) for path, _ in jax.tree.leaves_with_path(params) for key in [path[0].key])
    loss, keys = bound_loss(model), jax.random.split(jax.random.key(1), 6)

    @jax.jit
    def step(params):
        gradient = jax.grad(lambda p: loss(p, keys, x, jnp.int32(0))[0])(params)
        return jax.tree.map(lambda p, g: p - 0.05 * g, params, gradient)

    before = loss(params, keys, x, jnp.int32(0))[0]
    for _ in range(30):
        params = step(params)
    assert loss(params, keys, x, jnp.int32(0))[0] < 0.7 * before


def test_an_nnx_module_with_state_of_its_own_is_refused():
    with pytest.raises(ValueError, match=r"mean.*LayerNorm"):
        from_nnx(lambda rngs: nnx.BatchNorm(4, rngs=rngs)).init(jax.random.key(0), jnp.ones(4))
