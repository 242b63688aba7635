"""A decoder that is no Observation: three binary pixels, each told the ones before it. Everything can be enumerated."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from small import moved

from jaxvae.models.contexts import Labelled
from jaxvae.models.records import Conditional

SHAPE = (3, 1)
PICTURES = np.array(list(itertools.product([0.0, 1.0], repeat=3)), np.float32)[..., None]


def pixels(code_size: int) -> Conditional:
    """p(x | z) = prod_i Bernoulli(x_i; sigmoid(b_i + W_i z + A_i x_<i)); with code_size 0 a density, whose z is any."""

    def init(key, z):
        keys = jax.random.split(key, 3)
        weights = 2.0 * jax.random.normal(keys[0], (3, code_size))
        above = 2.0 * jax.random.normal(keys[1], (3, 3))
        return {"pixels": {"weights": weights, "above": above, "bias": jax.random.normal(keys[2], (3,))}}

    def logits(params, x, z):
        own = params["pixels"]
        told = own["weights"] @ z if code_size else 0.0
        return own["bias"] + told + jnp.tril(own["above"], -1) @ x[:, 0]

    def log_prob(params, x, z):
        return -jnp.sum(jnp.logaddexp(0.0, (1 - 2 * x[:, 0]) * logits(params, x, z)))

    def sample(params, key, z):
        x = jnp.zeros(SHAPE)
        for i, k in enumerate(jax.random.split(key, 3)):
            x = x.at[i, 0].set(jax.random.bernoulli(k, jax.nn.sigmoid(logits(params, x, z)[i])).astype(jnp.float32))
        return x, log_prob(params, x, z)

    def mean(params, z):
        chance = jax.vmap(lambda x: jnp.exp(log_prob(params, x, z)))(jnp.asarray(PICTURES))
        return jnp.tensordot(chance, jnp.asarray(PICTURES), 1)

    return Conditional(init, sample, log_prob, mean, support="integers")


def log_prob_by_hand(params, x, z) -> float:
    """The same in float64, pixel after pixel; x [3], z [Z]."""
    own, total = jax.tree.map(np.float64, params["pixels"]), 0.0
    for i in range(3):
        logit = own["bias"][i] + own["weights"][i] @ z + own["above"][i, :i] @ x[:i]
        total -= np.logaddexp(0.0, -logit if x[i] else logit)
    return total


def away(model, seed=1, scale=0.2):
    """Parameters some way from fresh ones, and so a posterior that depends on x."""
    x = PICTURES[0]
    if model.context is not None:
        x = Labelled(x, model.context.example())
    return moved(jax.jit(model.init)(jax.random.key(0), x), scale, seed)
