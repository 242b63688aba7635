"""The convolutions of the papers on disentanglement: their layers, and pictures of other sides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.commands.parts.train_line import parse_train
from jaxvae.networks import ConvDecoder, ConvEncoder, burgess, locatello
from jaxvae.runs.builders.from_config import build_model
from jaxvae.runs.choices.networks import sized
from jaxvae.runs.configs.model import ModelConfig

pytestmark = pytest.mark.quick_compile


def convolution(kernel, inputs, outputs):
    return kernel * kernel * inputs * outputs + outputs


def dense(inputs, outputs):
    return inputs * outputs + outputs


# By hand from the lists of layers: 64 x 64 x 1, 10 latents, so that four strides of 2 leave 4 x 4 pixels.
PUBLISHED = {
    burgess: (
        convolution(4, 1, 32) + 3 * convolution(4, 32, 32) + dense(512, 256) + dense(256, 256) + dense(256, 20),
        dense(10, 256) + dense(256, 256) + dense(256, 512) + 3 * convolution(4, 32, 32) + convolution(4, 32, 1),
    ),
    locatello: (
        convolution(4, 1, 32)
        + convolution(4, 32, 32)
        + convolution(2, 32, 64)
        + convolution(2, 64, 64)
        + dense(1024, 256)
        + dense(256, 20),
        dense(10, 256)
        + dense(256, 1024)
        + convolution(4, 64, 64)
        + convolution(4, 64, 32)
        + convolution(4, 32, 32)
        + convolution(4, 32, 1),
    ),
}


def variables(network, x):
    return jax.eval_shape(network.init, jax.random.key(0), x)


@pytest.mark.parametrize("make", PUBLISHED)
def test_the_layers_have_as_many_parameters_as_the_published_ones(make):
    encoder, decoder = make((64, 64, 1), 10)
    found = variables(encoder, jnp.zeros((64, 64, 1))), variables(decoder, jnp.zeros(10))
    counts = tuple(sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in found)
    assert counts == PUBLISHED[make]
    assert f"{sum(counts):,} parameters" in make.__doc__
    kernels = [found[1]["params"][f"ConvTranspose_{n}"]["kernel"].shape[:2] for n in range(4)]
    assert kernels == [(4, 4)] * 4


@pytest.mark.slow
def test_a_picture_of_other_sides_is_seen_in_the_middle_of_zeros_and_its_outputs_are_cut():
    x = jax.random.uniform(jax.random.key(0), (5, 6, 1))
    options = {"features": (3, 4), "dense": (5, 6), "kernel_size": (4, 2)}
    padded, plain = ConvEncoder(2, pad=True, **options), ConvEncoder(2, **options)
    params = jax.jit(padded.init)(jax.random.key(1), x)
    whole = jnp.zeros((8, 8, 1)).at[1:6, 1:7].set(x)
    np.testing.assert_allclose(padded.apply(params, x), plain.apply(params, whole), rtol=1e-6)

    up = {**options, "dense": (6, 5)}
    padded, plain = ConvDecoder((5, 6, 1), 2, pad=True, **up), ConvDecoder((8, 8, 1), 2, **up)
    z = jnp.ones(3)
    params = jax.jit(padded.init)(jax.random.key(1), z)
    assert params["params"]["Dense_0"]["kernel"].shape == (3, 5)  # the encoder's dense layers in reverse
    np.testing.assert_array_equal(padded.apply(params, z), plain.apply(params, z)[1:6, 1:7])


def test_sides_shorter_than_the_strides_are_refused_with_the_sizes_that_are_not():
    with pytest.raises(ValueError, match=r"\(8, 28, 1\).*at least 16 pixels. Resize the images to 16 x 28"):
        burgess((8, 28, 1), 2)
    with pytest.raises(ValueError, match=r"8 x 28 pixels.*64 x 64, and no side shorter than 16.*--data.size 16 32"):
        build_model(ModelConfig(network="locatello"), (8, 28, 1))
    with pytest.raises(ValueError, match=r"kernel_size is \(4, 2\), expected one number, or 3"):
        ConvEncoder(2, (4, 4, 4), kernel_size=(4, 2))


@pytest.mark.parametrize("kind", ["vae", "autoencoder", "gan"])
@pytest.mark.parametrize("network", ["burgess", "locatello"])
def test_a_config_names_them_for_every_kind_of_encoder(network, kind):
    model = build_model(ModelConfig(kind=kind, network=network, latent_dim=10), (28, 28, 1))
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((28, 28, 1)))
    decoder = params["decoder"]["params"]
    assert decoder["ConvTranspose_0"]["kernel"].shape == ((4, 4, 32, 32) if network == "burgess" else (4, 4, 64, 64))
    assert decoder["ConvTranspose_3"]["kernel"].shape == (4, 4, 1, 32)
    mean = jax.eval_shape(lambda p: model.likelihood.mean(p, jnp.zeros(10)), params)
    assert mean.shape == (28, 28, 1)


def test_a_preset_with_sizes_of_its_own_takes_them_all_the_same():
    start = ["--data.name", "faces.npz", "--model.network", "burgess"]
    assert parse_train(["toon-faces", *start]).config.model.features == ModelConfig().features
    with pytest.raises(ValueError, match=r"model.features is \(4, 8\), which model.network 'burgess' does not take"):
        parse_train(["toon-faces", *start, "--model.features", "4", "8"])


@pytest.mark.parametrize(
    ("size", "shape", "features", "blocks"),
    [
        ("small", (28, 28, 1), (16, 32), 1),  # 14 and 7 pixels
        ("base", (32, 32, 3), (32, 64, 128), 2),
        ("large", (64, 128, 3), (64, 128, 256, 512), 3),  # no more than four
        ("small", (10, 64, 3), (16,), 1),  # 5 pixels are odd
    ],
)
def test_a_size_chooses_features_and_blocks_by_the_sides_as_if_they_were_given(size, shape, features, blocks):
    config = ModelConfig(network="resnet", latent_dim=3, size=size)
    assert sized(config, shape) == ModelConfig(network="resnet", latent_dim=3, features=features, blocks=blocks)
    if size == "small":
        by_name, given = (
            jax.eval_shape(build_model(one, shape).init, jax.random.key(0), jnp.zeros(shape))
            for one in (config, sized(config, shape))
        )
        assert jax.tree.map(jnp.shape, by_name) == jax.tree.map(jnp.shape, given)


def test_a_size_is_refused_beside_features_without_halves_and_without_residual_blocks():
    start = ["toon-faces", "--data.name", "faces.npz", "--model.size", "large"]
    assert parse_train(start).config.model.features == ModelConfig().features  # no longer the preset's
    for words, message in [
        ([*start, "--model.features", "4", "8"], r"model.features is \(4, 8\), which model.size 'large' does not take"),
        (
            ["digits", "--model.size", "base"],
            "model.size is base, but nothing reads it.*--model.network resnet",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            parse_train(words)
    with pytest.raises(ValueError, match=r"'base'.*5 x 8 pixels, expected even sides of at least 8"):
        sized(ModelConfig(network="resnet", size="base"), (5, 8, 1))


def test_a_diffusion_has_no_encoder_to_name():
    with pytest.raises(ValueError, match=r"model.network is 'burgess', an encoder and a decoder.*--model.network conv"):
        build_model(ModelConfig(kind="diffusion", network="burgess"), (28, 28, 1))
