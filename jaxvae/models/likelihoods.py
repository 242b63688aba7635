"""The likelihood p(x | z): a decoder network and an observation model."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float
from jaxvae.models.records import Conditional, Key, Network, Observation, Params, Support, as_network, merge, part_of
from jaxvae.randomness import applied

Array = jax.Array


def decoder_likelihood(
    decoder: Network | Conditional, observation: Observation, event_shape: Any, *, name: str = "decoder"
) -> Conditional:
    """p(x | z) = observation(x | decoder(z)).

    Args:
        decoder: a network whose `.apply(variables, z)` returns unconstrained numbers
            [..., C * observation.channels] for an event [..., C]; half precision is widened to float32. A `Conditional`
            p(x | z) is returned as it is.
        observation: turns them into a distribution, see `jaxvae.models.observations`.
        event_shape: the shape of one example; or a dict of them, and the decoder returns a dict.
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
    expected = emitted_shape(observation, event_shape)

    def init(key: Key, z: Any) -> Params:
        return merge({name: decoder.init(key, z)}, observation.init())

    def decode(params: Params, z: Any) -> Any:
        outputs = applied(decoder, part_of(params, name), z)
        by_name = isinstance(outputs, Mapping)
        found = {key: _shape(part) for key, part in outputs.items()} if by_name else _shape(outputs)
        if found != expected:
            raise ValueError(
                f"the decoder returned {found}, expected {expected}: an example of shape {event_shape} with "
                f"{_channels(observation)} number(s) per channel for the likelihood {observation.name!r}. Let its last "
                f"layer emit as many channels, for one example, without a batch axis."
            )
        return jax.tree.map(lambda part: as_float("the decoder's output", part), outputs)

    def sample(params: Params, key: Key, z: Any) -> tuple[Any, Array]:
        outputs = decode(params, z)
        x = observation.sample(params, key, outputs)
        return x, observation.log_prob(params, x, outputs)

    def log_prob(params: Params, x: Any, z: Any) -> Array:
        return observation.log_prob(params, x, decode(params, z))

    def mean(params: Params, z: Any) -> Any:
        return observation.mean(params, decode(params, z))

    def log_prob_observed(params: Params, x: Any, z: Any, observed: Any) -> Array:
        return observed_part(observation, event_shape, params, x, decode(params, z), observed)

    def levels(params: Params, z: Any) -> Array:
        return level_log_probs(observation, event_shape, params, decode(params, z))

    support: Support = "integers" if observation.discrete else "real"
    observed = log_prob_observed if observation.independent else None
    finite = None if observation.levels is None else levels
    options: Any = {"log_prob_observed": observed, "support": support, "level_log_probs": finite}
    return Conditional(init, sample, log_prob, mean, **options)


def emitted_shape(observation: Observation, event_shape: Any) -> Any:
    """What a decoder must return: [..., C * channels] for an event [..., C], by name where the event has parts.

    Example:
        >>> from jaxvae.models.observations.continuous import normal
        >>> emitted_shape(normal("per_pixel"), (4, 4, 3))
        (4, 4, 6)
    """
    if observation.parts is None:
        return (*event_shape[:-1], event_shape[-1] * observation.channels)
    return {name: emitted_shape(part, event_shape[name]) for name, part in observation.parts.items()}


def observed_part(
    observation: Observation, event_shape: Any, params: Params, x: Any, outputs: Any, observed: Any
) -> Array:
    """log p of the elements of x where the mask is true, [] nats; the parameters are the observation model's."""
    if observation.parts is not None:
        own = params.get("observation", {})
        sums = [
            observed_part(part, event_shape[name], own.get(name, {}), x[name], outputs[name], observed[name])
            for name, part in observation.parts.items()
        ]
        return jnp.stack(sums).sum()
    # Where each number of x has an output of its own, any of them may be missing; where the channels of a pixel
    # share outputs, it counts if all of them were observed. 0 lies in every support.
    width = 1 if observation.channels == 1 else event_shape[-1]
    rows = jnp.where(observed, x, 0.0).reshape(-1, width)
    outputs = outputs.reshape(-1, width * observation.channels)
    parts = jax.vmap(observation.log_prob, (None, 0, 0))(params, rows, outputs)
    return jnp.where(observed.reshape(-1, width).all(1), parts, 0.0).sum()


def level_log_probs(observation: Observation, event_shape: Any, params: Params, outputs: Any) -> Array:
    """log p of each of the values 0 .. L-1 at every element of an event, [*event_shape, L] nats.

    The channels of a pixel may share outputs in any order; those of one are told from the sum over all by setting the
    others to 0, which adds a constant, and the probabilities of its L values are made to sum to 1.

    Example:
        >>> from jaxvae.models.observations.discrete import discretized_logistic
        >>> log_p = level_log_probs(discretized_logistic(17), (2, 3), {}, jnp.zeros((2, 6)))
        >>> log_p.shape, bool(jnp.allclose(jnp.exp(log_p).sum(-1), 1.0, atol=1e-5))
        ((2, 3, 17), True)
    """
    assert observation.levels is not None
    width = 1 if observation.channels == 1 else event_shape[-1]
    channel, values = jnp.eye(width, dtype=jnp.float32), jnp.arange(observation.levels, dtype=jnp.float32)
    rows = channel[:, None] * values[None, :, None]  # [width, L, width]

    def pixel(numbers: Array) -> Array:
        return jax.vmap(jax.vmap(observation.log_prob, (None, 0, None)), (None, 0, None))(params, rows, numbers)

    log_p = jax.vmap(pixel)(outputs.reshape(-1, width * observation.channels))
    return jax.nn.log_softmax(log_p).reshape(*event_shape, observation.levels)


def _shape(outputs: Any) -> Any:
    return getattr(outputs, "shape", type(outputs).__name__)


def _channels(observation: Observation) -> Any:
    if observation.parts is None:
        return observation.channels
    return {name: part.channels for name, part in observation.parts.items()}
