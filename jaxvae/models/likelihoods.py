"""The likelihood p(x | z): a decoder network and an observation model."""

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float
from jaxvae.models.records import Conditional, Key, Network, Observation, Params, Support, as_network, merge, part_of

Array = jax.Array


def decoder_likelihood(
    decoder: Network | Conditional, observation: Observation, event_shape: tuple[int, ...], *, name: str = "decoder"
) -> Conditional:
    """p(x | z) = observation(x | decoder(z)).

    Args:
        decoder: a network whose `.apply(variables, z)` returns unconstrained numbers
            [..., C * observation.channels] for an event [..., C]; half precision is widened to float32. A `Conditional`
            p(x | z) is returned as it is.
        observation: turns them into a distribution, see `jaxvae.models.observations`.
        event_shape: the shape of one example.
        name: the name of the decoder's parameters in the dict.

    Raises:
        ValueError: if the decoder emits another shape.

    Example:
        >>> from jaxvae.models.observations.continuous import bernoulli
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> likelihood = decoder_likelihood(MLPDecoder((8, 8, 1)), bernoulli(), (8, 8, 1))
        >>> params = likelihood.init(jax.random.key(0), jax.numpy.zeros(2))
        >>> likelihood.mean(params, jax.numpy.zeros(2)).shape
        (8, 8, 1)
    """
    if isinstance(decoder, Conditional):
        return decoder
    as_network("decoder", decoder, "MLPDecoder((28, 28, 1))")
    if not isinstance(observation, Observation):
        raise TypeError(
            f"observation is {observation!r}, expected an observation model. Call one, such as bernoulli()."
        )
    expected = (*event_shape[:-1], event_shape[-1] * observation.channels)

    def init(key: Key, z: Array) -> Params:
        return merge({name: decoder.init(key, z)}, observation.init())

    def decode(params: Params, z: Array) -> Array:
        outputs = decoder.apply(part_of(params, name), z)
        shape = getattr(outputs, "shape", type(outputs).__name__)
        if shape != expected:
            raise ValueError(
                f"the decoder returned {shape}, expected {expected}: an example of shape {event_shape} with "
                f"{observation.channels} number(s) per channel for the likelihood {observation.name!r}. Let its last "
                f"layer emit {expected[-1]} channels, for one example, without a batch axis."
            )
        return as_float("the decoder's output", outputs)

    def sample(params: Params, key: Key, z: Array) -> tuple[Array, Array]:
        outputs = decode(params, z)
        x = observation.sample(params, key, outputs)
        return x, observation.log_prob(params, x, outputs)

    def log_prob(params: Params, x: Array, z: Array) -> Array:
        return observation.log_prob(params, x, decode(params, z))

    def mean(params: Params, z: Array) -> Array:
        return observation.mean(params, decode(params, z))

    def log_prob_observed(params: Params, x: Array, z: Array, observed: Array) -> Array:
        # Where each number of x has an output of its own, any of them may be missing; where the channels of a pixel
        # share outputs, it counts if all of them were observed. 0 lies in every support.
        width = 1 if observation.channels == 1 else event_shape[-1]
        rows = jnp.where(observed, x, 0.0).reshape(-1, width)
        outputs = decode(params, z).reshape(-1, width * observation.channels)
        parts = jax.vmap(observation.log_prob, (None, 0, 0))(params, rows, outputs)
        return jnp.where(observed.reshape(-1, width).all(1), parts, 0.0).sum()

    support: Support = "integers" if observation.discrete else "real"
    return Conditional(init, sample, log_prob, mean, log_prob_observed=log_prob_observed, support=support)
