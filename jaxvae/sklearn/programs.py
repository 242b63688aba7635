"""What the estimator compiles, kept by its hyper-parameters: a clone, a fold or an unpickled copy compiles nothing."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data.protocols import as_it_is
from jaxvae.evaluation.bounds.importance import sample_weights
from jaxvae.math.numerics import log_mean_exp
from jaxvae.models.observations.continuous import bernoulli, laplace, normal
from jaxvae.models.observations.counts import negative_binomial, poisson
from jaxvae.models.records import Key, Model, Observation, Params
from jaxvae.models.variational import vae
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.training.engine.optimizers import make_optimizer
from jaxvae.training.engine.parallel import CompiledSteps, compile_steps
from jaxvae.training.engine.state import TrainState, init_state
from jaxvae.training.losses.bound import bound_loss

Array = jax.Array
BATCH = 256  # rows in flight; fewer are filled up, so that one program serves all and no row feels its company
CHUNK = 16  # samples of a row in flight

LIKELIHOODS: dict[str, Callable[[], Observation]] = {
    "normal": functools.partial(normal, "learned", std=1.0),
    "laplace": functools.partial(laplace, "learned", width=1.0),
    "bernoulli": bernoulli,
    "poisson": poisson,
    "negative_binomial": negative_binomial,
}
STANDARDIZED = ("normal", "laplace")  # the others score the table as it is


class Architecture(NamedTuple):
    """What decides about a model: two of equal architecture are one, with its compiled programs."""

    features: int
    latent_dim: int
    hidden: tuple[int, ...]
    activation: str
    likelihood: str


@functools.lru_cache(maxsize=64)
def build(architecture: Architecture) -> Model:
    """The model of an architecture, for one row of a table."""
    features, latent_dim, hidden, activation, likelihood = architecture
    observation = LIKELIHOODS[likelihood]()
    return vae(
        MLPEncoder(latent_dim, hidden, activation),
        MLPDecoder((features,), observation.channels, hidden[::-1], activation),
        event_shape=(features,),
        latent_dim=latent_dim,
        observation=observation,
    )


@functools.lru_cache(maxsize=64)
def initial_state(architecture: Architecture) -> Callable[[Key], TrainState]:
    """key -> a fresh training state, compiled once; the same for every learning rate."""
    model, optimizer = build(architecture), make_optimizer("adam")
    return jax.jit(lambda key: init_state(model, optimizer, key, jnp.zeros(architecture.features)))


@functools.lru_cache(maxsize=64)
def compiled_steps(architecture: Architecture, batch_size: int, steps_per_call: int) -> CompiledSteps:
    """The training of an architecture, on one device, for any numbers beta and learning_rate."""
    return compile_steps(
        lambda hyper: bound_loss(build(architecture), beta=hyper["beta"]),
        lambda hyper: make_optimizer("adam", hyper["learning_rate"]),
        as_it_is,
        batch_size=batch_size,
        steps_per_call=steps_per_call,
        mode="jit",
        hyper=True,
    )


def filled(rows: np.ndarray) -> np.ndarray:
    """At least `BATCH` rows, the last one repeated."""
    return np.pad(rows, [(0, max(0, BATCH - len(rows))), (0, 0)], mode="edge")


@functools.partial(jax.jit, static_argnums=(0, 1))
def row_bounds(model: Model, samples: int, params: Params, key: Key, index: Array, rows: Array) -> Array:
    """The importance-weighted bound [B] of each row; its noise is a function of (key, the row's numbers) alone."""

    def one(row: Array) -> Array:
        own = jax.random.fold_in(key, fingerprint(key, row))
        log_weights, _, _ = sample_weights(model, params, own, row, samples=samples, chunk=min(CHUNK, samples))
        return log_mean_exp(log_weights)

    return jax.vmap(one)(rows)


def fingerprint(key: Key, row: Array) -> Array:
    """uint32 [] of a row [D]: equal rows have equal ones, others hardly ever.

    Both halves of each number's bits, weighed by random odd integers modulo 2^32.

    Example:
        >>> key, row = jax.random.key(0), jnp.arange(3.0)
        >>> bool(fingerprint(key, row) == fingerprint(key, row[::-1])), fingerprint(key, row).dtype
        (False, dtype('uint32'))
    """
    bits = jax.lax.bitcast_convert_type(row.astype(jnp.float32) + 0.0, jnp.uint32)  # -0.0 becomes 0.0
    halves = jnp.stack([bits >> 16, bits & 0xFFFF])
    return (halves * (jax.random.bits(key, halves.shape, jnp.uint32) | 1)).sum(dtype=jnp.uint32)


def log_volume(scale: np.ndarray) -> float:
    """log |dx / d(standardised x)| in nats: what a density over standardised columns loses in their own units.

    Example:
        >>> round(log_volume(np.array([2.0, 3.0])), 4)  # log 6
        1.7918
    """
    return math.fsum(np.log(scale))
