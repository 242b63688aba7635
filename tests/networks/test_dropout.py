"""Dropout in the library's own networks: what it does to a layer, who gets it, and that a run resumes with it."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import same_bits

import jaxvae
from jaxvae.networks import MLPDecoder, MLPDeterministicEncoder, MLPEncoder, with_context, with_dropout
from jaxvae.randomness import with_keys
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
