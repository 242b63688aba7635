"""The deterministic autoencoder: a code, not a distribution over codes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, as_key, positive_integer
from jaxvae.models.events import as_event_shape
from jaxvae.models.inputs import as_observation, network_input, shapes_of
from jaxvae.models.likelihoods import decoder_likelihood
from jaxvae.models.meaning import absent
from jaxvae.models.records import Conditional, Key, Model, Network, Observation, Params, as_network, merge, part_of
from jaxvae.objectives.terms import Terms
from jaxvae.randomness import applied

Array = jax.Array
Corruption = Callable[[Key, Array], Array]
CodePenalty = Callable[[Params, Array, Array, Callable[[Array], Array], Callable[[Array], Array]], Array]


def autoencoder(
    encoder: Network,
    decoder: Network,
    *,
    event_shape: Any,
    latent_dim: int,
    observation: Observation | None = None,
    prior: Conditional | None = None,
    corruption: Corruption | None = None,
    penalty: CodePenalty | None = None,
) -> Model:
    """An autoencoder: z = encoder(x), trained to maximise log p(x | z) - penalty; no KL and no bound on log p(x).

    Its posterior is a point mass, whose density at its own code is infinite. So `Terms.log_weight` is -inf (the bound
    that such a posterior gives), `Terms.kl` has shape [0], and the number to look at is `Terms.log_likelihood`.

    Args:
        encoder: `.apply(variables, x)` returns one array [latent_dim], as `MLPDeterministicEncoder` does.
        decoder: `.apply(variables, z)` returns [..., C * observation.channels] unconstrained numbers.
        event_shape: the shape [..., C] of one example, (H, W, C) for images.
        latent_dim: the length of the code.
        observation: an observation model, by default `bernoulli()`. `normal(std=s)` is the squared error over 2 s^2.
        prior: a `Conditional` with context None that codes are meant to follow (`standard_normal(latent_dim)` for a
            Wasserstein or adversarial autoencoder); without one, drawing from the model raises `ValueError`.
        corruption: (key, encoder's input) -> encoder's input, in training only: `terms` sees it, `posterior` does not.
        penalty: (params, input [...], z [latent_dim], encode, decode) -> [] nats, the rest of what is minimised;
            `encode` maps the encoder's (uncorrupted) input to a code and `decode` a code to the mean of x.

    Returns:
        A `Model`; its parameters are {"encoder": ..., "decoder": ...} and what the likelihood and the prior add.

    Raises:
        ValueError, TypeError: for an impossible latent_dim, event_shape or observation, and later, when x has another
            shape or a network emits one.

    Source: Hinton and Salakhutdinov, 2006, doi 10.1126/science.1127647.

    Example:
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> model = autoencoder(MLPDeterministicEncoder(2), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> params = model.init(jax.random.key(0), jnp.zeros((8, 8, 1)))
        >>> terms = model.terms(params, jax.random.key(1), jnp.zeros((8, 8, 1)))
        >>> terms.z.shape, terms.kl.shape, float(terms.log_weight)
        ((2,), (0,), -inf)
    """
    latent_dim = positive_integer("latent_dim", latent_dim)
    event_shape = as_event_shape(event_shape)
    observation = as_observation(observation)
    to_input = network_input(observation, event_shape)
    q_z = point_posterior(encoder, latent_dim)
    p_z = no_prior() if prior is None else prior
    p_x = decoder_likelihood(decoder, observation, event_shape)

    def init(key: Key, x: Array) -> Params:
        key_q, key_x, key_p = jax.random.split(as_key("key", key), 3)
        code = jnp.zeros(latent_dim, jnp.float32)
        return merge(q_z.init(key_q, to_input(x)), p_x.init(key_x, code), p_z.init(key_p, None))

    def terms(params: Params, key: Key, x: Array) -> Terms:
        clean = to_input(x)
        z = q_z.mean(params, clean if corruption is None else corruption(key, clean))
        log_p_x = p_x.log_prob(params, x, z)
        nothing = jnp.zeros_like(log_p_x)
        if penalty is not None:
            code_of, mean_of = (lambda u: q_z.mean(params, u)), (lambda code: p_x.mean(params, code))
            cost = nothing + penalty(params, clean, z, code_of, mean_of)
        else:
            cost = nothing
        return Terms(log_p_x, jnp.zeros(0, log_p_x.dtype), nothing - jnp.inf, cost, z, None)

    posterior = Conditional(
        lambda key, x: q_z.init(key, to_input(x)),
        lambda params, key, x: q_z.sample(params, key, to_input(x)),
        lambda params, z, x: q_z.log_prob(params, z, to_input(x)),
        lambda params, x: q_z.mean(params, to_input(x)),
    )
    return Model(init, terms, posterior, p_z, p_x, event_shape, observation.to_unit, observation.check, evidence="none")


def point_posterior(encoder: Network, latent_dim: int, *, name: str = "encoder") -> Conditional:
    """q(z | x) with all its mass at z = encoder(x): log density +inf there and -inf elsewhere.

    Args:
        encoder: `.apply(variables, x)` returns one array [latent_dim]; half precision is widened to float32.
        latent_dim: the length of the code.
        name: the name of the encoder's parameters in the dict.

    Raises:
        ValueError: if the encoder emits anything but one array [latent_dim].

    Example:
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder
        >>> posterior, x = point_posterior(MLPDeterministicEncoder(2), 2), jnp.ones((8, 8, 1))
        >>> z, log_density = posterior.sample(posterior.init(jax.random.key(0), x), jax.random.key(1), x)
        >>> z.shape, float(log_density)
        ((2,), inf)
    """

    latent_dim = positive_integer("latent_dim", latent_dim)
    as_network("encoder", encoder, f"MLPDeterministicEncoder({latent_dim})")

    def init(key: Key, x: Array) -> Params:
        return {name: encoder.init(key, x)}

    def mean(params: Params, x: Array) -> Array:
        z = applied(encoder, part_of(params, name), x)
        shape = getattr(z, "shape", type(z).__name__)
        if shape != (latent_dim,):
            raise ValueError(
                f"the encoder returned {shape} for one example of shape {shapes_of(x)}, expected one array of shape "
                f"({latent_dim},). A VAE's encoder returns a tuple (mean, log_var): use MLPDeterministicEncoder or "
                f"ConvDeterministicEncoder here. Else check its last layer and latent_dim."
            )
        return as_float("the encoder's output", z)

    def sample(params: Params, key: Key, x: Array) -> tuple[Array, Array]:
        z = mean(params, x)
        return z, jnp.full((), jnp.inf, z.dtype)

    def log_prob(params: Params, z: Array, x: Array) -> Array:
        return jnp.where((z == mean(params, x)).all(), jnp.inf, -jnp.inf)

    return Conditional(init, sample, log_prob, mean)


def no_prior() -> Conditional:
    """The prior of a model that has none: no parameters, and `ValueError` where a draw or a density is asked for.

    Example:
        >>> no_prior().init(jax.random.key(0), None)
        {}
    """
    return absent(
        "this model has no prior p(z), so there is nothing to draw codes from. Pass one, such as "
        "prior=standard_normal(latent_dim), and train the codes to follow it; or fit a density to the codes."
    )
