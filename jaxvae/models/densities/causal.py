"""p(x) = prod_i p(x_i | x_1 .. x_{i-1}): a causal network and an observation model, as a `Conditional` over any event.

    log p(x | c) = sum_i log p(x_i | output i of network(x, c))

It is a density (`density_model`), a decoder (`vae(decoder=)`, told z) and a prior (told nothing).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float
from jaxvae.models.events import as_event_shape
from jaxvae.models.inputs import as_observation
from jaxvae.models.likelihoods import level_log_probs
from jaxvae.models.records import Conditional, Key, Network, Observation, Params, Support, merge, part_of
from jaxvae.networks.causal.records import CausalNetwork
from jaxvae.randomness import applied

Array = jax.Array


def autoregressive(
    network: CausalNetwork,
    observation: Observation | None = None,
    *,
    told: Network | None = None,
    name: str = "autoregressive",
) -> Conditional:
    """The exact density of an event whose elements are drawn one after the other, each told those before it.

    `log_prob` is one pass; a draw visits the elements in their order, as the network does it. `mean` follows each
    element's own mean, told the means before it: a picture, and no expectation, which has no closed form.

    Args:
        network: such as `gated_pixel_cnn(event_shape, observation.channels)`; it sees 2 to_unit(x) - 1, and the context
            as it comes: None, a vector, or a map of a picture.
        observation: p(x_i | output i), by default `bernoulli()`; each element is one channel to it.
        told: a network whose output for the context the causal network is given in its place, such as a decoder of z
            that emits a map [H, W, M]; its parameters are "decoder".
        name: of the network's parameters in the dict.

    Raises:
        TypeError: for what is no `CausalNetwork` or no observation model.
        ValueError: for a network that emits another number of outputs than the observation model reads, and one of
            several parts, or whose pixels are not independent given the outputs, as `marginal_normal`.

    Source: Larochelle and Murray, 2011, The neural autoregressive distribution estimator.

    Example:
        >>> from jaxvae.networks.causal import gated_pixel_cnn
        >>> p = autoregressive(gated_pixel_cnn((3, 3, 1), features=4, layers=2))
        >>> params = p.init(jax.random.key(0), None)
        >>> x, log_p = p.sample(params, jax.random.key(1), None)
        >>> bool(jnp.isclose(log_p, p.log_prob(params, x, None), atol=1e-5))
        True
    """
    if not isinstance(network, CausalNetwork):
        raise TypeError(f"network is {network!r:.80}, expected a CausalNetwork, such as gated_pixel_cnn(...).")
    seen, shape = as_observation(observation), as_event_shape(network.event_shape)
    if seen.parts is not None or not seen.independent:
        raise ValueError(
            f"observation is {seen.name!r}, which scores all elements together, expected one that is a sum over "
            f"pixels of one array, such as bernoulli() or normal(): each element is drawn by itself."
        )
    if network.size != seen.channels:
        raise ValueError(
            f"the network emits {network.size} number(s) for an element, expected the {seen.channels} that the "
            f"observation model {seen.name!r} reads. Build it with size=observation.channels."
        )

    def scaled(x: Array) -> Array:
        return 2.0 * seen.to_unit(x) - 1.0

    def init(key: Key, context: Any) -> Params:
        if told is None:
            return merge({name: network.init(key, jnp.zeros(shape), context)}, seen.init())
        key_told, key_network = jax.random.split(key)
        decoder = told.init(key_told, context)
        given = told.apply(decoder, context)
        return merge({name: network.init(key_network, jnp.zeros(shape), given), "decoder": decoder}, seen.init())

    def given_of(params: Params, context: Any) -> Any:
        return context if told is None else applied(told, part_of(params, "decoder"), context)

    def log_prob(params: Params, x: Array, context: Any) -> Array:
        outputs = network.apply(part_of(params, name), scaled(x), given_of(params, context))
        return seen.log_prob(params, x[..., None], as_float("the network's output", outputs))

    def sample(params: Params, key: Key, context: Any) -> tuple[Array, Array]:
        x, log_p = _visit(params, key, context, None, None)
        return x, log_p.sum()

    def complete(params: Params, key: Key, x: Array, context: Any, observed: Array) -> tuple[Array, Array]:
        found, log_p = _visit(params, key, context, x.ravel(), observed.ravel())
        return found, jnp.where(observed, log_p, 0.0).sum()

    def _visit(params: Params, key: Key, context: Any, known: Array | None, observed: Any) -> tuple[Array, Array]:
        def pick(index: Array, output: Array) -> tuple[Array, tuple[Array, Array]]:
            value = seen.sample(params, jax.random.fold_in(key, index), output)
            if known is not None:
                value = jnp.where(observed[index], known[index], value)
            return scaled(value)[0], (value[0], seen.log_prob(params, value, output))

        x, log_p = network.visit(part_of(params, name), pick, given_of(params, context))
        return x, log_p

    def mean(params: Params, context: Any) -> Array:
        def pick(index: Array, output: Array) -> tuple[Array, Array]:
            value = seen.mean(params, output)
            return scaled(value)[0], value[0]

        found: Array = network.visit(part_of(params, name), pick, given_of(params, context))
        return found

    def visit(params: Params, choose: Callable[[Array, Array], Array], context: Any) -> Array:
        def pick(index: Array, output: Array) -> tuple[Array, Array]:
            value = choose(index, level_log_probs(seen, (1,), params, output)[0])
            return scaled(value[None])[0], value

        found: Array = network.visit(part_of(params, name), pick, given_of(params, context))
        return found

    support: Support = "integers" if seen.discrete else "real"
    one_by_one = None if seen.levels is None else visit
    return Conditional(init, sample, log_prob, mean, support=support, complete=complete, visit=one_by_one)
