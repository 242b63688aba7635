"""A user's own ten-line network under every objective and estimator, and what each option changes."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import SHAPE, images, small_vae

import jaxvae

pytestmark = pytest.mark.quick_compile


class Tanh(NamedTuple):
    """A user's network: two layers, no library."""

    sizes: tuple
    out: tuple

    def init(self, key, x):
        shapes = [(np.prod(x.shape, dtype=int), self.sizes[0]), self.sizes]
        return [0.3 * jax.random.normal(k, s) for k, s in zip(jax.random.split(key), shapes, strict=True)]

    def apply(self, weights, x):
        return (jnp.tanh(x.reshape(-1) @ weights[0]) @ weights[1]).reshape(self.out)


class Pair(NamedTuple):
    """Two outputs of one network."""

    network: Tanh = Tanh((12, 4), (2, 2))

    def init(self, key, x):
        return self.network.init(key, x)

    def apply(self, weights, x):
        mean, log_var = self.network.apply(weights, x)
        return mean, log_var


def users_model():
    return jaxvae.vae(Pair(), Tanh((12, 16), SHAPE), event_shape=SHAPE, latent_dim=2)


OBJECTIVES = {
    "elbo": {"bound": jaxvae.elbo},
    "beta": {"bound": jaxvae.elbo, "beta": lambda step: jnp.minimum(step / 20.0, 1.0)},
    "iwae": {"bound": jaxvae.iwae_bound, "samples": 4},
    "miwae": {"bound": jaxvae.objectives.miwae_bound, "samples": 4, "groups": 2},
    "ciwae": {"bound": jaxvae.objectives.ciwae_bound, "samples": 4, "beta": 0.3},
    "renyi": {"bound": jaxvae.objectives.renyi_bound, "samples": 4, "alpha": lambda step: step / 40.0},
    "vr-max": {"bound": jaxvae.objectives.vr_max_bound, "samples": 4},
    "capacity": {"bound": jaxvae.objectives.capacity_bound, "capacity": lambda step: step / 40.0, "gamma": 2.0},
    "free bits": {"bound": jaxvae.objectives.free_bits_bound, "free_nats": 0.2},
    "free bits of the batch": {"whole": True, "bound": jaxvae.objectives.free_bits_bound, "free_nats": 0.2},
    "balance of the batch": {"whole": True, "bound": jaxvae.objectives.balanced_bound, "beta": 0.5},
    "landing": {"bound": jaxvae.elbo, "samples": 2, "estimator": jaxvae.objectives.sticking_the_landing},
    "doubly": {"bound": jaxvae.iwae_bound, "samples": 4, "estimator": jaxvae.objectives.doubly_reparameterized},
    "score": {"bound": jaxvae.iwae_bound, "samples": 4, "estimator": jaxvae.objectives.score_function},
    "piwae": {"bound": jaxvae.iwae_bound, "samples": 4, "estimator": jaxvae.objectives.piwae(groups=2)},
    "iwae in chunks": {"bound": jaxvae.iwae_bound, "samples": 5, "chunk": 2},
    "doubly in chunks": {
        "bound": jaxvae.iwae_bound,
        "samples": 5,
        "chunk": 2,
        "estimator": jaxvae.objectives.doubly_reparameterized,
    },
}


def loss_of(model, whole=False, **options):
    return (jaxvae.losses.batch_bound_loss if whole else jaxvae.bound_loss)(model, **options)


QUICK = ("renyi", "free bits of the batch", "doubly in chunks", "score", "piwae")


@pytest.mark.rows(full=["doubly in chunks", "renyi"], slow=["free bits of the batch", "score"])
@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.full) for n in OBJECTIVES])
def test_a_users_network_trains(name):
    model, batch = users_model(), jnp.float32(images(40) > 100)
    loss, adam = loss_of(model, **OBJECTIVES[name]), optax.adam(2e-2)

    @jax.jit
    def train(key):
        params = jax.jit(model.init)(key, batch[0])

        def step(carry, step):
            params, moments = carry
            keys = jax.random.split(jax.random.fold_in(key, step), len(batch))
            (value, metrics), slope = jax.value_and_grad(loss, has_aux=True)(params, keys, batch, step)
            updates, moments = adam.update(slope, moments)
            return (optax.apply_updates(params, updates), moments), metrics | {"loss": value}

        return jax.lax.scan(step, (params, adam.init(params)), jnp.arange(60))[1]

    metrics = jax.tree.map(np.asarray, train(jax.random.key(0)))
    assert all(np.isfinite(values).all() for values in metrics.values())
    assert metrics["kl_per_latent"].shape == (60, 2)  # in closed form, under an estimator too
    scheduled = any(callable(option) for key, option in OBJECTIVES[name].items() if key not in ("bound", "estimator"))
    rising = metrics["elbo"] if scheduled else -metrics["loss"]  # a loss whose own rule changes need not fall
    assert rising[-10:].mean() > rising[:3].mean() + 1.0


EACH_OPTION = {
    "beta of elbo": (jaxvae.elbo, {}, "beta", 0.5, 2.0),
    "groups of miwae": (jaxvae.objectives.miwae_bound, {}, "groups", 1, 2),
    "beta of ciwae": (jaxvae.objectives.ciwae_bound, {}, "beta", 0.2, 0.8),
    "alpha": (jaxvae.objectives.renyi_bound, {}, "alpha", 0.2, 0.8),
    "capacity": (jaxvae.objectives.capacity_bound, {}, "capacity", 0.0, 3.0),
    "gamma": (jaxvae.objectives.capacity_bound, {"capacity": 9.0}, "gamma", 1.0, 2.0),
    "free_nats": (jaxvae.objectives.free_bits_bound, {}, "free_nats", 0.5, 1.5),
    "groups of free bits": (jaxvae.objectives.free_bits_bound, {"free_nats": 9.0}, "groups", 1, 3),
    "beta of balance": (jaxvae.objectives.balanced_bound, {}, "beta", 0.5, 1.0),
}


@pytest.mark.rows(every=3)
@pytest.mark.parametrize("name", EACH_OPTION)
def test_every_number_changes_the_objective(name):
    bound, others, option, one, other = EACH_OPTION[name]
    log_likelihood, kl = jnp.array([-3.0, -1.0, -2.0, -5.0]), jnp.array([[1.0, 0.1, 2.0]] * 4)
    terms = jaxvae.Terms(log_likelihood, kl, log_likelihood - kl.sum(1), jnp.zeros(4), None, None)
    assert abs(float(bound(terms, **others, **{option: one}) - bound(terms, **others, **{option: other}))) > 0.01


@pytest.mark.full
def test_sizes_of_the_groups_change_the_balanced_loss():
    model, batch = small_vae(), jnp.float32(images(4) > 100)
    params, keys = jax.jit(model.init)(jax.random.key(0), batch[0]), jax.random.split(jax.random.key(1), 4)

    def value(sizes):
        loss = jaxvae.losses.batch_bound_loss(model, partial(jaxvae.objectives.balanced_bound, sizes=sizes))
        return float(loss(params, keys, batch, jnp.int32(0))[0])

    assert value((1, 1, 1)) == value(None)
    assert abs(value((1, 10, 100)) - value(None)) > 1e-3


@pytest.mark.full
def test_the_rule_for_the_batch_is_the_rule_for_the_mean_kl():
    model, batch = small_vae(), jnp.float32(images(6) > 100)
    params, keys = jax.jit(model.init)(jax.random.key(0), batch[0]), jax.random.split(jax.random.key(1), 6)
    each, plain = jaxvae.bound_loss(model, jaxvae.objectives.free_bits_bound, free_nats=0.3), jaxvae.bound_loss(model)
    whole = jaxvae.losses.batch_bound_loss(model, jaxvae.objectives.free_bits_bound, free_nats=0.3)
    _, metrics = plain(params, keys, batch, jnp.int32(0))
    expected = np.maximum(np.float64(metrics["kl_per_latent"]), 0.3).sum() - float(metrics["log_likelihood"])
    assert float(whole(params, keys, batch, jnp.int32(0))[0]) == pytest.approx(expected, rel=1e-6)
    terms = jax.vmap(model.terms, (None, 0, 0))(params, keys, batch)
    apart = (np.maximum(np.float64(terms.kl), 0.3).sum(1) - np.float64(terms.log_likelihood)).mean()
    assert float(each(params, keys, batch, jnp.int32(0))[0]) == pytest.approx(apart, rel=1e-6)
    assert apart > expected + 1e-3
    linear = (
        jaxvae.losses.batch_bound_loss(model, jaxvae.elbo, beta=2.0),
        jaxvae.bound_loss(model, jaxvae.elbo, beta=2.0),
    )
    assert np.allclose(*(float(loss(params, keys, batch, jnp.int32(0))[0]) for loss in linear), rtol=1e-6)


MODEL = small_vae()


@pytest.mark.rows(every=3)
@pytest.mark.parametrize(
    ("call", "exception", "words"),
    [
        (lambda: jaxvae.bound_loss(MODEL, chunk=0), ValueError, "chunk is 0"),
        (lambda: jaxvae.bound_loss(MODEL, chunk=2.5), TypeError, "chunk is 2.5"),
        (lambda: jaxvae.objectives.piwae(0), ValueError, "groups is 0"),
        (
            lambda: jaxvae.bound_loss(MODEL, jaxvae.iwae_bound, samples=5, estimator=jaxvae.objectives.piwae(2)),
            ValueError,
            "groups is 2, expected a divisor of the 5 samples",
        ),
        (
            lambda: jaxvae.bound_loss(
                MODEL, jaxvae.iwae_bound, samples=5, estimator=jaxvae.objectives.sticking_the_landing
            ),
            ValueError,
            "biased for iwae_bound.*doubly_reparameterized",
        ),
        (
            lambda: jaxvae.bound_loss(
                MODEL, jaxvae.objectives.vr_max_bound, estimator=jaxvae.objectives.doubly_reparameterized
            ),
            ValueError,
            "biased for vr_max_bound.*smooth",
        ),
        (
            lambda: jaxvae.bound_loss(
                MODEL,
                partial(jaxvae.objectives.free_bits_bound, free_nats=1.0),
                estimator=jaxvae.objectives.doubly_reparameterized,
            ),
            ValueError,
            "biased for free_bits_bound",
        ),
        (
            lambda: jaxvae.bound_loss(MODEL, samples=60, batch_penalty=lambda *_: 0.0),
            ValueError,
            "batch_penalty needs every sample's terms.*Pass chunk=60",
        ),
        (
            lambda: jaxvae.bound_loss(MODEL, batch_penalty=lambda *_: 0.0, estimator=jaxvae.objectives.score_function),
            ValueError,
            "expected samples <= chunk and no estimator",
        ),
        (lambda: jaxvae.losses.batch_bound_loss(MODEL, jaxvae.elbo, samples=0), ValueError, "samples is 0"),
        (lambda: jaxvae.losses.batch_bound_loss(MODEL, jaxvae.elbo, beta=np.nan), ValueError, "beta is nan"),
        (
            lambda: jaxvae.losses.batch_bound_loss(MODEL, jaxvae.iwae_bound)(
                MODEL.init(jax.random.key(0), jnp.zeros(SHAPE)),
                jax.random.split(jax.random.key(0), 2),
                jnp.zeros((2, *SHAPE)),
                jnp.int32(0),
            ),
            ValueError,
            r"log_weight has shape \(2, 1\), expected \[K\]",
        ),
    ],
)
def test_impossible_losses(call, exception, words):
    with pytest.raises(exception, match=words):
        call()
