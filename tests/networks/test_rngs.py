"""Networks that draw while they train: which key reaches which network, and dropout from end to end."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from small import LATENTS, SHAPE, Linear, images, same_bits

import jaxvae
from jaxvae.data.protocols import as_it_is
from jaxvae.models.players.critic import critic_outputs
from jaxvae.models.variational import vae
from jaxvae.networks.conditional import with_context
from jaxvae.networks.rngs import with_rngs
from jaxvae.objectives import estimators
from jaxvae.objectives.bounds import iwae_bound
from jaxvae.randomness import with_keys
from jaxvae.training import losses
from jaxvae.training.checkpoints.weights import load_weights, save_weights
from jaxvae.training.engine.state import init_state
from jaxvae.training.engine.step import make_step
from jaxvae.training.losses.batch import batch_terms

pytestmark = pytest.mark.quick_compile

X = jnp.float32(images(6) > 100)
KEYS = jax.random.split(jax.random.key(1), 6)


class Noisy(NamedTuple):
    """A network by hand that adds a normal draw to its outputs while it trains."""

    inner: Linear

    def init(self, key, x):
        return {"stochastic": self.inner.init(key, x)}

    def apply(self, variables, x):
        out, key = self.inner.apply(variables["stochastic"], x), variables.get("key")
        return out if key is None else out + jax.random.normal(key, ())


class Pair(NamedTuple):
    """Its first half as the mean, and log-variances of -30: z shows what the encoder said."""

    inner: Noisy

    def init(self, key, x):
        return self.inner.init(key, x)

    def apply(self, variables, x):
        return self.inner.apply(variables, x), jnp.full(LATENTS, -30.0)


class Dropped(nn.Module):
    """A layer with dropout, as users write it."""

    shape: tuple
    pair: bool = False

    @nn.compact
    def __call__(self, x, train=False):
        hidden = nn.Dropout(0.5, deterministic=not train)(nn.tanh(nn.Dense(16)(x.reshape(-1))))
        out = nn.Dense(int(np.prod(self.shape)))(hidden).reshape(self.shape)
        return (out, nn.Dense(LATENTS)(hidden)) if self.pair else out


def noisy_vae():
    return vae(
        Pair(Noisy(Linear(LATENTS, (LATENTS,)))), Noisy(Linear(16, SHAPE)), event_shape=SHAPE, latent_dim=LATENTS
    )


def dropout_vae():
    encoder, decoder = with_rngs(Dropped((LATENTS,), True), "dropout"), with_rngs(Dropped(SHAPE), "dropout")
    return vae(encoder, decoder, event_shape=SHAPE, latent_dim=LATENTS)


def made(model):
    return jax.jit(model.init)(jax.random.key(0), X[0])


@pytest.mark.slow
def test_every_example_of_every_step_has_keys_of_its_own_and_every_network_another():
    model = noisy_vae()
    params, same = made(model), jnp.broadcast_to(X[:1], X.shape)
    plain = jax.vmap(lambda x: model.posterior.mean(params, x))(same)
    noise = (batch_terms(model, params, KEYS, same).z[:, 0] - plain)[:, 0]
    again = (batch_terms(model, params, KEYS, same).z[:, 0] - plain)[:, 0]
    np.testing.assert_array_equal(noise, again)
    other = (batch_terms(model, params, jax.random.split(jax.random.key(2), 6), same).z[:, 0] - plain)[:, 0]
    means = jnp.stack([model.likelihood.mean(with_keys(params, key), jnp.zeros(3)).ravel()[0] for key in KEYS])
    of_decoder = jnp.log(means / (1 - means))  # its weights give zeros for zeros
    drawn = np.round([*noise, *other, *of_decoder], 4)
    assert len(set(drawn)) == 18
    assert np.abs(drawn).max() > 0.5


def test_without_keys_nothing_is_drawn():
    model = dropout_vae()
    params = made(model)
    one, two = (model.terms(params, KEYS[0], X[0]) for _ in range(2))
    assert same_bits(one.posterior, two.posterior)
    mean = np.asarray(model.posterior.mean(params, X[0]))
    np.testing.assert_array_equal(mean, model.posterior.mean(params, X[0]))
    keys = jax.random.split(KEYS[0], 400)
    drawn = np.asarray(jax.vmap(lambda key: model.posterior.mean(with_keys(params, key), X[0]))(keys))
    assert np.abs(drawn - mean).max() > 0.1
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.2)  # the last layer is linear in what was dropped


def test_parameters_that_declare_nothing_are_handed_on_as_they_are():
    params = {"encoder": {"params": {"w": 1.0}}, "kernel": jnp.ones(2)}
    assert with_keys(params, KEYS[0]) is params


LOSSES = {
    "bound": losses.bound_loss,
    "iwae": lambda m: losses.bound_loss(m, iwae_bound, samples=3),
    "chunks": lambda m: losses.bound_loss(m, iwae_bound, samples=4, chunk=2),
    "estimator": lambda m: losses.bound_loss(m, iwae_bound, samples=3, estimator=estimators.doubly_reparameterized),
    "micro batches": lambda m: losses.micro_batches(losses.bound_loss(m), 2),
    "own": lambda m: own_loss(m),
    "micro batches of an own": lambda m: losses.micro_batches(own_loss(m), 2),
}


def own_loss(model):
    def loss(params, keys, batch, step):
        terms = jax.vmap(model.terms, (None, 0, 0))(params, keys, batch)
        return -terms.log_weight.mean(), {"loss": -terms.log_weight.mean()}

    return loss


@pytest.mark.rows(every_slow=3)
@pytest.mark.rows(quick=["own"])
@pytest.mark.parametrize("name", LOSSES)
def test_dropout_trains_with_every_kind_of_loss(name):
    model, optimizer = dropout_vae(), optax.sgd(1e-2)
    loss = LOSSES[name](model)
    state = init_state(model, optimizer, jax.random.key(0), X[0])
    step = jax.jit(make_step(loss, optimizer, as_it_is))
    _, first = step(state, X)
    _, again = step(state, X)
    _, later = step(state._replace(step=state.step + 1), X)
    assert first["skipped"] == 0
    assert first["loss"] == again["loss"] != later["loss"]
    still = jax.jit(make_step(LOSSES[name](noiseless(model)), optimizer, as_it_is))(state, X)[1]
    assert abs(still["loss"] - first["loss"]) > 1e-3


def noiseless(model):
    """The model, whose networks are kept from drawing."""
    from jaxvae.randomness import without_keys

    def quiet(part):
        return part._replace(
            sample=lambda params, *a: part.sample(without_keys(params), *a),
            log_prob=lambda params, *a: part.log_prob(without_keys(params), *a),
            distribution=part.distribution and (lambda params, *a: part.distribution(without_keys(params), *a)),
        )

    return model._replace(
        terms=lambda params, key, x: model.terms(without_keys(params), key, x),
        posterior=quiet(model.posterior),
        likelihood=quiet(model.likelihood),
    )


@pytest.mark.slow
def test_pieces_have_the_masks_of_the_whole():
    model = dropout_vae()
    params = made(model)
    whole, pieces = (
        jax.grad(loss, has_aux=True)(params, KEYS, X, jnp.int32(0))
        for loss in (losses.bound_loss(model), losses.micro_batches(losses.bound_loss(model), 2))
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), whole, pieces)


@pytest.mark.slow
def test_a_model_with_dropout_fits_and_its_weights_are_saved(tmp_path):
    model = dropout_vae()
    (params, history), again = (
        jaxvae.fit(model, images(60), epochs=3, batch_size=20, optimizer=optax.adam(1e-2), progress=False)
        for _ in range(2)
    )
    assert same_bits(params, again.params)
    assert history[-1]["elbo"] > history[0]["elbo"]
    assert same_bits(load_weights(save_weights(tmp_path / "w.safetensors", params)), params)


def test_a_context_reaches_a_network_that_draws():
    network = with_context(with_rngs(Dropped((4,)), "dropout"), embedding=2)
    x, context = jnp.ones(3), jnp.ones(2)
    params = {"network": jax.jit(network.init)(KEYS[0], x, context)}
    one, two = (network.apply(with_keys(params, key)["network"], x, context) for key in KEYS[:2])
    assert np.abs(one - two).max() > 1e-3


class Always(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(nn.Dropout(0.5, deterministic=False)(x))


class Deterministic(nn.Module):
    @nn.compact
    def __call__(self, x, deterministic: bool):
        return nn.Dropout(0.5)(x, deterministic=deterministic)


def test_either_way_round_the_switch_is_found():
    network = with_rngs(Deterministic(), "dropout")
    variables = jax.jit(network.init)(KEYS[0], jnp.ones(50))
    np.testing.assert_array_equal(network.apply(variables, jnp.ones(50)), 1.0)
    assert set(np.unique(network.apply({**variables, "key": KEYS[0]}, jnp.ones(50)))) == {0.0, 2.0}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: with_rngs(Always(), "dropout"), ValueError, ["Always takes x", "deterministic", "train=False"]),
        (lambda: with_rngs(Dropped((4,))), TypeError, ["names are ()"]),
        (lambda: with_rngs(Dropped((4,)), 3), TypeError, ["names are (3,)"]),
        (lambda: with_rngs(Dropped, "dropout"), TypeError, ["network is", "such as MyEncoder(2)"]),
        (lambda: with_rngs(Linear(4, (4,)), "dropout"), ValueError, ["Linear takes nothing"]),
    ],
)
def test_impossible_networks_are_refused(call, error, words):
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("part", ["encoder", "decoder", "critic"])
def test_dropout_that_was_not_declared_is_named_with_the_remedy(part):
    class Drops(nn.Module):
        @nn.compact
        def __call__(self, x):
            dropped = nn.Dropout(0.5, deterministic=False)(x.reshape(-1))
            if part == "encoder":
                return nn.Dense(LATENTS)(dropped), nn.Dense(LATENTS)(dropped)
            return nn.Dense(1)(dropped)[0] if part == "critic" else nn.Dense(16)(dropped).reshape(SHAPE)

    if part == "critic":
        variables = {"critic": Drops().init(KEYS[0], jnp.ones(3))}
        call = partial(critic_outputs, Drops(), variables, jnp.ones(3))
    else:
        networks = {"encoder": jaxvae.MLPEncoder(LATENTS, (4,)), "decoder": Linear(16, SHAPE)} | {part: Drops()}
        model = vae(**networks, event_shape=SHAPE, latent_dim=LATENTS)
        call = partial(model.terms, model.init(KEYS[0], X[0]), KEYS[1], X[0])
    with pytest.raises(ValueError, match=r"Drops draws random numbers: Dropout_0.*with_rngs\(Drops\(") as caught:
        call()
    assert type(caught.value.__cause__).__name__ == "InvalidRngError"
