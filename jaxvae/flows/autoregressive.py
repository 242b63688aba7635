"""Autoregressive layers: each element is moved by a map that the elements before it decide."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, positive_integer
from jaxvae.flows.elementary import affine, reverse_order
from jaxvae.flows.records import Bijection, Conditioner, Key, Params, chain, vector
from jaxvae.flows.transforms import Transform, affine_transform, check_transform
from jaxvae.networks.causal.records import CausalNetwork
from jaxvae.randomness import applied

Array = jax.Array
MakeNetwork = Callable[[int], Conditioner]
Move = Callable[[Array, Array], tuple[Array, Array]]


def masked_autoregressive(network: Conditioner, latent_dim: int, transform: Transform | None = None) -> Bijection:
    """MAF: v_i = transform(network(v)_i, u_i), where network(v)_i depends on v_1 .. v_(i-1) only.

    The inverse (and so the density of a given v) is one pass through the network. Forward (sampling) is slow: it
    needs v_1 before v_2, a scan of Z passes.

    Args:
        network: `.apply(variables, v [Z])`, or `(variables, v, context)` where there is a context, returns
            [Z, transform.size]; row i must not depend on v_i or any later element, as in `MADE`. With another
            network the density is wrong, and nothing can notice. A causal network, such as `causal_transformer((Z,),
            transform.size, zero_start=True)`, keeps what it has seen, and the scan costs one element each.
        latent_dim: the number of dimensions Z.
        transform: how one element is moved, by default `affine_transform()`.

    Raises:
        ValueError, TypeError: for an impossible latent_dim or transform, and later, when the network emits another
            shape.

    Source: Papamakarios, Pavlakou and Murray, 2017, arXiv 1705.07057.

    Example:
        >>> from jaxvae.networks.made import MADE
        >>> layer = masked_autoregressive(MADE(3, 2), 3)
        >>> params = layer.init(jax.random.key(0), jnp.zeros(3), None)
        >>> layer.inverse(params, jnp.array([1.0, 2.0, 3.0]), None)[0].tolist()
        [1.0, 2.0, 3.0]
    """
    init, parallel, sequential, transform = _passes(network, latent_dim, transform)
    return Bijection(init, sequential(transform.forward), parallel(transform.inverse))


def inverse_autoregressive(network: Conditioner, latent_dim: int, transform: Transform | None = None) -> Bijection:
    """IAF: v_i = transform(network(u)_i, u_i), where network(u)_i depends on u_1 .. u_(i-1) only.

    Forward (sampling, and the density of one's own sample) is one pass through the network: the layer for a
    posterior. The inverse (the density of a given v) is slow, a scan of Z passes.

    Args:
        network, latent_dim, transform: see `masked_autoregressive`. Kingma et al. hand the network a context that the
            encoder emits.

    Source: Kingma et al., 2016, arXiv 1606.04934, equation 10. Their sigmoid gate is replaced by the softly bounded
        log-scale of `affine_transform`.

    Example:
        >>> from jaxvae.networks.made import MADE
        >>> layer = inverse_autoregressive(MADE(3, 2), 3)
        >>> params = layer.init(jax.random.key(0), jnp.zeros(3), None)
        >>> layer.forward(params, jnp.array([1.0, 2.0, 3.0]), None)[0].tolist()
        [1.0, 2.0, 3.0]
    """
    init, parallel, sequential, transform = _passes(network, latent_dim, transform)
    return Bijection(init, parallel(transform.forward), sequential(transform.inverse))


def _passes(network: Conditioner, latent_dim: int, transform: Transform | None) -> tuple[Any, Any, Any, Transform]:
    """(init, one pass over what is known, Z passes over what is being made, transform)."""
    latent_dim = positive_integer("latent_dim", latent_dim)
    transform = affine_transform() if transform is None else transform
    check_transform(transform)
    expected = (latent_dim, transform.size)

    def init(key: Key, u: Array, context: Any) -> Params:
        return {"network": network.init(key, *_inputs(vector(u, latent_dim), context))}

    def emitted(params: Params, known: Array, context: Any) -> Array:
        raw = as_float(
            "the autoregressive network's output", applied(network, params["network"], *_inputs(known, context))
        )
        if raw.shape != expected:
            raise ValueError(
                f"the autoregressive network returned shape {raw.shape}, expected {expected}: {transform.size} numbers "
                f"for each of {latent_dim} dimensions, as MADE({latent_dim}, {transform.size}) gives."
            )
        return raw

    def parallel(move: Move) -> Callable[..., tuple[Array, Array]]:
        def apply(params: Params, known: Array, context: Any) -> tuple[Array, Array]:
            known = vector(known, latent_dim)
            made, log_slope = jax.vmap(move)(emitted(params, known, context), known)
            return made, log_slope.sum()

        return apply

    def sequential(move: Move) -> Callable[..., tuple[Array, Array]]:
        def apply(params: Params, known: Array, context: Any) -> tuple[Array, Array]:
            known = vector(known, latent_dim)
            if isinstance(network, CausalNetwork):

                def pick(index: Array, raw: Array) -> tuple[Array, tuple[Array, Array]]:
                    found = move(raw, known[index])
                    return found[0], found

                made, log_slopes = network.visit(params["network"], pick, context)
                return made, log_slopes.sum()

            def step(made: Array, index: Array) -> tuple[Array, Array]:
                element, log_slope = move(emitted(params, made, context)[index], known[index])
                return made.at[index].set(element), log_slope

            made, log_slopes = jax.lax.scan(step, jnp.zeros_like(known), jnp.arange(latent_dim))
            return made, log_slopes.sum()

        return apply

    return init, parallel, sequential, transform


def _inputs(u: Array, context: Any) -> tuple[Array, ...]:
    return (u,) if context is None else (u, context)


def autoregressive_flow(
    layer: Callable[..., Bijection],
    latent_dim: int,
    make_network: MakeNetwork,
    transform: Transform | None = None,
    layers: int = 4,
    *,
    between: Callable[[int], Bijection] | None = None,
) -> Bijection:
    """Autoregressive layers with the order of the elements reversed in between, and an elementwise affine layer.

    Args:
        layer: `masked_autoregressive` for a prior, whose density must be fast, or `inverse_autoregressive` for a
            posterior, whose sampling must be.
        latent_dim: the number of dimensions Z.
        make_network: (size) -> a masked network that emits [Z, size], as `lambda size: MADE(Z, size)`.
        transform: see `masked_autoregressive`.
        layers: the number of autoregressive layers.
        between: (index) -> what stands after layer `index` in place of the reversal, such as
            `lambda index: lu_linear(Z, seed=index)`: columns of a table like to be mixed, pixels do not.

    Example:
        >>> from jaxvae.networks.made import MADE
        >>> flow = autoregressive_flow(inverse_autoregressive, 3, lambda size: MADE(3, size), layers=2)
        >>> params = flow.init(jax.random.key(0), jnp.zeros(3), None)
        >>> flow.forward(params, jnp.array([1.0, 2.0, 3.0]), None)[0].tolist()
        [1.0, 2.0, 3.0]
    """
    latent_dim, layers = positive_integer("latent_dim", latent_dim), positive_integer("layers", layers)
    transform = affine_transform() if transform is None else transform
    check_transform(transform)
    turn = reverse_order(latent_dim)
    steps = [
        part
        for index in range(layers)
        for part in (
            layer(make_network(transform.size), latent_dim, transform),
            turn if between is None else between(index),
        )
    ]
    if between is None and layers % 2:  # an odd number of turns would leave the order turned round
        steps = steps[:-1]
    return chain(*steps, affine(latent_dim))
