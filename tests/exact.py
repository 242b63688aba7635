"""Models small enough that everything about them is known, in float64: what any estimator can be held against.

- `linear(...)`: the linear-Gaussian VAE with its truth from dense linear algebra;
- `discrete()`: ten latent states and eight possible x, every expectation a finite sum;
- `pictures()`: 4x4 pixels driven by one number through a curve, its posterior and evidence on a grid.
"""

from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.models.exact.linear import linear_gaussian
from jaxvae.models.observations.continuous import normal
from jaxvae.models.records import Conditional, Model
from jaxvae.models.variational import vae
from jaxvae.objectives.terms import Terms

LOG_2_PI = np.log(2 * np.pi)


# The linear-Gaussian model ----------------------------------------------------------------------------------------


class LinearTruth(NamedTuple):
    """W [D, Z], one x [D] of the model, its posterior N(mean, covariance) and log p(x), in float64."""

    weights: np.ndarray
    noise: float
    x: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    log_evidence: float


def linear_truth(size: int = 6, latents: int = 3, noise: float = 0.5, orthogonal: bool = False, seed: int = 0):
    """A random linear-Gaussian model from the definitions: dense covariances, `slogdet` and `solve`."""
    draw = np.random.default_rng(seed)
    weights = draw.normal(size=(size, latents))
    if orthogonal:
        weights = np.linalg.qr(weights)[0] * np.linspace(0.2, 3.0, latents)
    weights = np.float64(np.float32(weights))
    x = np.float64(np.float32(weights @ draw.normal(size=latents) + noise * draw.normal(size=size)))
    covariance = np.linalg.inv(np.eye(latents) + weights.T @ weights / noise**2)
    mean = covariance @ weights.T @ x / noise**2
    return LinearTruth(weights, noise, x, mean, covariance, dense_log_normal(x, weights @ weights.T, noise))


def dense_log_normal(x, covariance, noise):
    """log N(x; 0, covariance + noise^2 I)."""
    whole = covariance + noise**2 * np.eye(len(x))
    return -0.5 * (len(x) * LOG_2_PI + np.linalg.slogdet(whole)[1] + x @ np.linalg.solve(whole, x))


def linear(**options) -> tuple[Model, LinearTruth]:
    """The library's model of a `linear_truth(**options)`."""
    truth = linear_truth(**options)
    return linear_gaussian(jnp.float32(truth.weights), noise=truth.noise), truth


# The discrete model -----------------------------------------------------------------------------------------------

STATES, PIXELS = 10, 3
EVERY_X = np.array(list(product((0.0, 1.0), repeat=PIXELS)), np.float32)  # [8, 3]


def discrete() -> Model:
    """z in 0..9 with a table p(z), x of three bits with tables p(x | z) and q(z | x); all of them are logits.

    Its samples have no pathwise gradient, so score functions can be judged with it. Parameters: {"prior": [S],
    "decoder": [S, 3], "encoder": [8, S]}, random from the key of `init`.
    """

    def row(x):
        return jnp.sum(x * jnp.float32([4, 2, 1])).astype(jnp.int32)

    def log_q(params, x):
        return jax.nn.log_softmax(params["encoder"][row(x)])

    def log_p(params, context=None):
        return jax.nn.log_softmax(params["prior"])

    def pixels(params, x, z):
        logits = params["decoder"][z]
        return jnp.sum(x * jax.nn.log_sigmoid(logits) + (1 - x) * jax.nn.log_sigmoid(-logits))

    def table(name, shape, log_table):
        def init(key, context=None):
            return {name: jax.random.normal(key, shape)}

        def sample(params, key, context=None):
            z = jax.random.categorical(key, log_table(params, context))
            return z, log_table(params, context)[z]

        def log_prob(params, z, context=None):
            return log_table(params, context)[z]

        def mean(params, context=None):
            return jnp.exp(log_table(params, context))

        return Conditional(init, sample, log_prob, mean)

    def draw(params, key, z):
        x = jax.random.bernoulli(key, jax.nn.sigmoid(params["decoder"][z])).astype(jnp.float32)
        return x, pixels(params, x, z)

    q = table("encoder", (2**PIXELS, STATES), log_q)
    p = table("prior", (STATES,), log_p)
    likelihood = Conditional(
        lambda key, z: {"decoder": 2 * jax.random.normal(key, (STATES, PIXELS))},
        draw,
        pixels,
        lambda params, z: jax.nn.sigmoid(params["decoder"][z]),
    )

    def init(key, x):
        keys = jax.random.split(key, 3)
        return q.init(keys[0]) | p.init(keys[1]) | likelihood.init(keys[2], 0)

    def terms(params, key, x):
        z, log_density = q.sample(params, key, x)
        log_ratio = p.log_prob(params, z) - log_density
        log_likelihood = likelihood.log_prob(params, x, z)
        return Terms(log_likelihood, -log_ratio[None], log_likelihood + log_ratio, jnp.zeros(()), z, None)

    return Model(init, terms, q, p, likelihood, (PIXELS,), lambda x: x)


def discrete_tables(params, x) -> tuple[np.ndarray, np.ndarray]:
    """(log p(x, z) [S], log q(z | x) [S]) in float64, written apart from the model."""
    prior, decoder, encoder = (np.asarray(params[name], np.float64) for name in ("prior", "decoder", "encoder"))
    x = np.asarray(x, np.float64)
    probability = 1 / (1 + np.exp(-decoder))
    given = np.prod(np.where(x == 1, probability, 1 - probability), axis=1)
    q = np.exp(encoder[[list(row) for row in EVERY_X.tolist()].index(x.tolist())])
    return np.log(given * np.exp(prior) / np.exp(prior).sum()), np.log(q / q.sum())


def discrete_log_evidence(params, x) -> float:
    return np.log(np.exp(discrete_tables(params, x)[0]).sum())


def discrete_bound(params, x, samples: int = 1) -> float:
    """E[log mean of `samples` weights] by a sum over all 10^samples ways to draw; the ELBO for one sample."""
    log_joint, log_q = discrete_tables(params, x)
    weight, q, total = np.exp(log_joint - log_q), np.exp(log_q), 0.0
    for states in product(range(STATES), repeat=samples):
        total += np.prod(q[list(states)]) * np.log(np.mean(weight[list(states)]))
    return total


# 4x4 pixels driven by one number ----------------------------------------------------------------------------------

NOISE = 0.2


def brightness(z):
    """f(z) [..., 4, 4, 1]: a soft spot that walks along the diagonal and grows with z, in the arithmetic of z."""
    xp = np if isinstance(z, np.ndarray) else jnp
    place = xp.arange(4.0) - 1.5
    row, column = place[:, None], place[None, :]
    z = z[..., None, None]
    distance = (row - 1.5 * xp.tanh(z)) ** 2 + (column - 1.5 * xp.tanh(z)) ** 2
    return xp.exp(-distance / (2 * (1 + 0.3 * xp.tanh(z)) ** 2))[..., None]


class Spot(NamedTuple):
    """The true decoder, z [1] -> f(z) [4, 4, 1]; no parameters."""

    def init(self, key, z):
        return {}

    def apply(self, variables, z):
        return brightness(z[0])


def pictures(encoder) -> Model:
    """The 4x4 model with its true decoder and an encoder of your own (of one latent)."""
    return vae(encoder, Spot(), event_shape=(4, 4, 1), latent_dim=1, observation=normal(std=NOISE))


def draw_pictures(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(z [N], x [N, 4, 4, 1]) from the true model, float64 numbers that are exact in float32."""
    draw = np.random.default_rng(seed)
    z = draw.normal(size=count)
    x = brightness(z) + NOISE * draw.normal(size=(count, 4, 4, 1))
    return z, np.float64(np.float32(x))


class Grid(NamedTuple):
    """log p(x), and the posterior's mean, variance and density on the grid z [G]."""

    log_evidence: float
    mean: float
    variance: float
    z: np.ndarray
    density: np.ndarray


def on_grid(log_joint, low: float = -8.0, high: float = 8.0, points: int = 4001) -> Grid:
    """Integrates a model of one latent: log_joint(z [G]) -> log p(x, z) [G], float64.

    The sum of a smooth function that vanishes at both ends converges faster than any power of the spacing.
    """
    z = np.linspace(low, high, points)
    value = log_joint(z)
    top = value.max()
    mass = np.exp(value - top)
    total, step = mass.sum(), z[1] - z[0]
    mean = mass @ z / total
    return Grid(top + np.log(total * step), mean, mass @ (z - mean) ** 2 / total, z, mass / (total * step))


def picture_log_joint(x):
    """z [G] -> log p(x, z) [G] of one 4x4 picture."""
    x = np.asarray(x, np.float64)

    def log_joint(z):
        error = ((x - brightness(z)) ** 2).sum((-3, -2, -1))
        likelihood = -0.5 * (error / NOISE**2 + x.size * (LOG_2_PI + 2 * np.log(NOISE)))
        return likelihood - 0.5 * (z**2 + LOG_2_PI)

    return log_joint
