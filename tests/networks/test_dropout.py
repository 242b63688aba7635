"""Dropout in the library's own networks: what it does to a layer, who gets it, and that a run resumes with it."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small
from flax import linen as nn
from small import same_bits

import jaxvae
from jaxvae.networks import MLPDecoder, MLPDeterministicEncoder, MLPEncoder, with_context, with_dropout
from jaxvae.networks.residual.blocks import residual_block
from jaxvae.networks.residual.resnet import ResNetDecoder
from jaxvae.randomness import draws, with_keys
from jaxvae.runs import train
from jaxvae.runs.builders.from_config import build_model
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.configs.model import ModelConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.configs.validate import validate
from jaxvae.training.losses.batch import batch_terms

pytestmark = pytest.mark.quick_compile

RATE = 0.3


def test_a_share_of_the_units_is_zero_the_mean_stays_and_without_a_key_all_are_there():
    plain, x = MLPDeterministicEncoder(50, (50,), "softplus"), jnp.linspace(-1, 1, 8)
    network = with_dropout(plain, RATE)
    variables = jax.jit(network.init)(jax.random.key(0), x)
    inner = variables["stochastic"]["params"]
    inner["Dense_1"] = {"kernel": jnp.eye(50), "bias": jnp.zeros(50)}  # what comes out is the hidden layer
    hidden = np.asarray(plain.apply({"params": inner}, x))
    np.testing.assert_array_equal(network.apply(variables, x), hidden)

    keys = jax.random.split(jax.random.key(1), 4000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: network.apply(variables | {"key": key}, x)))(keys))
    kept = drawn != 0
    np.testing.assert_allclose(drawn[kept], np.broadcast_to(hidden / (1 - RATE), drawn.shape)[kept], rtol=1e-5)
    error = np.sqrt(RATE * (1 - RATE) / drawn.size)
    assert abs(kept.mean() - (1 - RATE)) < 5 * error
    np.testing.assert_allclose(drawn.mean(0), hidden, rtol=5 * np.sqrt(RATE / (1 - RATE) / len(keys)))
    assert len({mask.tobytes() for mask in kept}) == len(keys)


@pytest.mark.slow
def test_in_a_loss_examples_and_networks_have_masks_of_their_own_and_in_evaluation_none():
    sizes = {"event_shape": (4, 1), "latent_dim": 3}
    networks = MLPEncoder(3, (20,)), MLPDecoder((4, 1), 1, (20,))
    plain, model = jaxvae.vae(*networks, **sizes), jaxvae.vae(*(with_dropout(n, RATE) for n in networks), **sizes)
    x, keys = jnp.ones((4, 4, 1)), jax.random.split(jax.random.key(1), 4)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    bare = {name: part["stochastic"] for name, part in params.items()}
    assert same_bits(jax.jit(model.terms)(params, keys[0], x[0]), jax.jit(plain.terms)(bare, keys[0], x[0]))
    trained = jax.jit(lambda p: batch_terms(model, p, keys, x).posterior.mean)(params)
    assert len({row.tobytes() for row in np.asarray(trained)}) == 4
    masked = with_keys(params, keys[0])
    ours, theirs = (jax.random.key_data(masked[part]["key"]) for part in ("encoder", "decoder"))
    assert not np.array_equal(ours, theirs)


class Block(nn.Module):
    """What a residual block adds to x, every hidden number above 0."""

    activation: str = "softplus"
    native: bool | None = None
    block_dropout: float = 0.0

    @nn.compact
    def __call__(self, x, train=False):
        return residual_block(x, x.shape[-1], self, train=train) - x


def test_of_what_the_last_convolution_of_a_block_reads_a_share_is_zero_and_the_rest_larger():
    plain, network, x = Block(), with_dropout(Block(), blocks=RATE), jnp.zeros((5, 5, 4)).at[2, 2].set(1.0)
    variables = jax.jit(network.init)(jax.random.key(0), x)
    inner = variables["stochastic"]["params"]
    inner["Conv_1"]["kernel"] = jnp.zeros((3, 3, 4, 4)).at[1, 1].set(jnp.eye(4))  # what comes out is what it reads
    hidden = np.asarray(plain.apply({"params": inner}, x))
    np.testing.assert_array_equal(network.apply(variables, x), hidden)
    keys = jax.random.split(jax.random.key(1), 400)
    draw = jax.jit(jax.vmap(lambda key: network.apply(variables | {"key": key}, x)))
    drawn = np.asarray(draw(keys))
    np.testing.assert_array_equal(drawn, draw(keys))
    kept = np.abs(drawn) > 1e-6  # x was added and taken away
    expected = np.broadcast_to(hidden / (1 - RATE), drawn.shape)
    np.testing.assert_allclose(drawn[kept], expected[kept], rtol=1e-5)
    assert abs(kept.mean() - (1 - RATE)) < 5 * np.sqrt(RATE * (1 - RATE) / drawn.size)
    assert len({mask.tobytes() for mask in kept}) == len(keys)


@pytest.mark.slow
def test_blocks_have_masks_of_their_own_which_the_gradient_sees_and_no_evaluation():
    plain = ResNetDecoder((4, 4, 1), features=(2,), dense=8, blocks=2)
    network, z = with_dropout(plain, blocks=RATE), jnp.ones(3)
    variables = jax.jit(network.init)(jax.random.key(0), z)
    bare = small.moved(variables["stochastic"])
    assert same_bits(jax.jit(network.apply)({"stochastic": bare}, z), jax.jit(plain.apply)(bare, z))
    slope = jax.jit(jax.grad(lambda v, key: network.apply({"stochastic": v, "key": key}, z).sum()))
    keys = jax.random.split(jax.random.key(1), 2)
    first, again, other = (slope(bare, key) for key in (keys[0], keys[0], keys[1]))
    assert same_bits(first, again)
    for name in ("Conv_1", "Conv_3"):  # the last of each block
        assert not np.allclose(first["params"][name]["kernel"], other["params"][name]["kernel"])
    options = {"rngs": {"dropout": keys[0]}, "capture_intermediates": lambda module, _: isinstance(module, nn.Dropout)}
    _, seen = network.network.apply(bare, z, train=True, **options)
    one, two = (np.asarray(each["__call__"][0]) != 0 for each in seen["intermediates"].values())
    assert not np.array_equal(one, two)


RESIDUAL = [kind for kind, entry in KINDS.items() if "model.network" not in entry.ignores]


@pytest.mark.slow
@pytest.mark.parametrize("kind", RESIDUAL)
def test_every_kind_with_residual_networks_has_blocks_that_draw(kind):
    sizes = {"network": "resnet", "features": (2, 4), "dense": 4, "latent_dim": 3, "hidden": (4,)}
    config = ModelConfig(kind=kind, block_dropout=RATE, **sizes)
    assert draws(abstract(build_model(config, (8, 8, 1), classes=10)))
    if kind in ("vae", "diffusion"):
        assert not draws(abstract(build_model(replace(config, block_dropout=0.0), (8, 8, 1), classes=10)))


TAKING = [kind for kind, entry in KINDS.items() if "model.dropout" not in entry.ignores]


@pytest.mark.parametrize("kind", TAKING)
def test_every_kind_that_takes_the_option_has_networks_that_draw(kind):
    config = ModelConfig(kind=kind, dropout=RATE, hidden=(4,), latent_dim=3, upper_hidden=(4,), first_latents=3)
    model = build_model(config, (8, 8, 1), classes=10)
    params = abstract(model)
    assert "stochastic" in (params["decoder"] if "decoder" in params else params["likelihood"])


@pytest.mark.parametrize("network", ["mlp", "conv", "resnet", "burgess"])
@pytest.mark.parametrize("kind", ["vae", "autoencoder"])
def test_every_network_has_it_and_a_posterior_may_ask_it_for_more(network, kind):
    options = {} if kind == "autoencoder" else {"posterior": "low_rank"}
    model = build_model(ModelConfig(kind=kind, network=network, dropout=RATE, latent_dim=3, **options), (28, 28, 1))
    params = abstract(model, (28, 28, 1))
    assert all(set(params[part]) == {"stochastic"} for part in ("encoder", "decoder"))
    keyed = jax.eval_shape(with_keys, params, jax.random.key(0))
    mean = jax.eval_shape(model.posterior.mean, keyed, jnp.zeros((28, 28, 1)))
    assert mean.shape == (3,)


def abstract(model, shape=(8, 8, 1), what="params"):
    x = jnp.zeros(shape)
    if model.context is not None:
        x = jaxvae.models.Labelled(x, jnp.int32(0))
    params = jax.eval_shape(model.init, jax.random.key(0), x)
    return params if what == "params" else jax.eval_shape(model.terms, params, jax.random.key(0), x)


@pytest.mark.slow
def test_a_run_with_dropout_resumes_to_the_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)
    model = ModelConfig(hidden=(12,), latent_dim=3, dropout=RATE, likelihood="discretized_logistic")
    once = validate(replace(PRESETS["digits"], epochs=2, batch_size=500, progress=False, model=model))
    whole = train.train_run(once, tmp_path / "whole", say=lambda line: None)
    train.train_run(replace(once, epochs=1), tmp_path / "halves", say=lambda line: None)
    halves = train.train_run(once, tmp_path / "halves", say=lambda line: None)
    assert same_bits(whole.params, halves.params)
    assert set(whole.params["decoder"]) == {"stochastic"}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: with_dropout(MLPEncoder(2), 1.0), ValueError, "dropout is 1.0, expected a share"),
        (lambda: with_dropout(ResNetDecoder((8, 8, 1)), blocks=1.0), ValueError, "block_dropout is 1.0, expected"),
        (lambda: with_dropout(MLPEncoder(2), blocks=0.1), TypeError, "field block_dropout, such as ResNetEncoder"),
        (lambda: with_dropout(with_context(MLPEncoder(2)), 0.1), TypeError, "with_rngs.MyEncoder"),
        (
            lambda: abstract(
                jaxvae.vae(MLPEncoder(2), MLPDecoder((4,), dropout=0.1), event_shape=(4,), latent_dim=2), (4,), "terms"
            ),
            ValueError,
            r"MLPDecoder has dropout=0.1, which nothing.*with_dropout\(MLPDecoder\(...\), 0.1\)",
        ),
    ],
)
def test_dropout_that_nothing_would_feed_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
