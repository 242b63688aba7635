"""Coupling layers: one half of the vector decides how the other half is moved; both directions are equally fast."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, positive_integer
from jaxvae.flows.elementary import affine
from jaxvae.flows.records import Bijection, Conditioner, Key, Params, chain, vector
from jaxvae.flows.spline import spline_transform
from jaxvae.flows.transforms import Transform, affine_transform, check_transform
from jaxvae.randomness import applied

Array = jax.Array
MakeNetwork = Callable[[int], Conditioner]


def coupling(network: Conditioner, latent_dim: int, transform: Transform, *, swap: bool = False) -> Bijection:
    """v_kept = u_kept, v_moved = transform(network(u_kept), u_moved), element by element.

    The first Z // 2 elements are kept and the others moved; with `swap` the first Z // 2 are moved.

    Args:
        network: `.apply(variables, h)` returns [moved * transform.size] numbers for a vector h: the kept elements,
            followed by those of the context where there is one. The layer starts as the identity where the network
            starts at 0, as `ConditionerMLP` does, and elsewhere where the network starts.
        latent_dim: the number of dimensions Z, at least 2; it may be odd.
        transform: how one element is moved, `affine_transform()` or `spline_transform()`.
        swap: whether the halves change places; alternate it from layer to layer.

    Raises:
        ValueError, TypeError: for an impossible latent_dim or transform, and later, when the network emits another
            number of values.

    Source: Dinh, Krueger and Bengio, 2014, arXiv 1410.8516.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerMLP
        >>> layer = coupling(ConditionerMLP(4), 3, affine_transform())
        >>> params = layer.init(jax.random.key(0), jnp.zeros(3), None)
        >>> layer.forward(params, jnp.array([1.0, 2.0, 3.0]), None)[0].tolist()
        [1.0, 2.0, 3.0]
    """
    latent_dim = positive_integer("latent_dim", latent_dim)
    if latent_dim < 2:
        raise ValueError(
            f"latent_dim is {latent_dim}, expected at least 2: one half decides how the other is moved. For one "
            f"dimension use an autoregressive layer or planar."
        )
    check_transform(transform)
    half = latent_dim // 2
    first, second = jnp.s_[:half], jnp.s_[half:]
    kept, moved = (second, first) if swap else (first, second)
    count = half if swap else latent_dim - half

    def seen(u: Array, context: Any) -> Array:
        return u[kept] if context is None else jnp.concatenate([u[kept], jnp.ravel(context)])

    def init(key: Key, u: Array, context: Any) -> Params:
        return {"network": network.init(key, seen(vector(u, latent_dim), context))}

    def moved_by(move: Callable[..., tuple[Array, Array]]) -> Callable[..., tuple[Array, Array]]:
        def apply(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
            u = vector(u, latent_dim)
            raw = as_float("the coupling network's output", applied(network, params["network"], seen(u, context)))
            if raw.shape != (count * transform.size,):
                raise ValueError(
                    f"the coupling network returned shape {raw.shape}, expected ({count * transform.size},): "
                    f"{transform.size} numbers for each of the {count} elements that it moves. Check its last layer."
                )
            v, log_slope = jax.vmap(move)(raw.reshape(count, transform.size), u[moved])
            return u.at[moved].set(v), log_slope.sum()

        return apply

    return Bijection(init, moved_by(transform.forward), moved_by(transform.inverse))


def affine_coupling(network: Conditioner, latent_dim: int, *, swap: bool = False, limit: float = 3.0) -> Bijection:
    """RealNVP's layer: `coupling` with v = exp(s) u + t; log-scales are softly bounded by `limit`.

    Args:
        network: emits 2 numbers for each moved element, see `coupling`.
        latent_dim, swap: see `coupling`.
        limit: the largest |s|, see `affine_transform`.

    Source: Dinh, Sohl-Dickstein and Bengio, 2017, arXiv 1605.08803.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerMLP
        >>> affine_coupling(ConditionerMLP(2), 2).init(jax.random.key(0), jnp.zeros(2), None).keys()
        dict_keys(['network'])
    """
    return coupling(network, latent_dim, affine_transform(limit), swap=swap)


def spline_coupling(
    network: Conditioner, latent_dim: int, *, swap: bool = False, bins: int = 8, bound: float = 5.0
) -> Bijection:
    """`coupling` with a monotone rational-quadratic spline on [-bound, bound].

    Args:
        network: emits 3 bins - 1 numbers for each moved element, see `coupling`.
        latent_dim, swap: see `coupling`.
        bins, bound: see `spline_transform`.

    Source: Durkan, Bekasov, Murray and Papamakarios, 2019, arXiv 1906.04032.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerMLP
        >>> spline_coupling(ConditionerMLP(23), 2).init(jax.random.key(0), jnp.zeros(2), None).keys()
        dict_keys(['network'])
    """
    return coupling(network, latent_dim, spline_transform(bins, bound), swap=swap)


def coupling_flow(latent_dim: int, make_network: MakeNetwork, transform: Transform, layers: int = 4) -> Bijection:
    """Coupling layers whose halves take turns, and an elementwise affine layer at the end.

    Args:
        latent_dim: the number of dimensions Z, at least 2.
        make_network: (size) -> a network that emits `size` numbers, such as `ConditionerMLP`.
        transform: see `coupling`.
        layers: the number of coupling layers; the first moves the second half of the vector.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerMLP
        >>> flow = coupling_flow(3, ConditionerMLP, affine_transform(), layers=2)
        >>> sorted(flow.init(jax.random.key(0), jnp.zeros(3), None))
        ['layer_0', 'layer_1', 'layer_2']
    """
    latent_dim, layers = positive_integer("latent_dim", latent_dim), positive_integer("layers", layers)
    check_transform(transform)
    steps = []
    for index in range(layers):
        swap = index % 2 == 1
        count = latent_dim // 2 if swap else latent_dim - latent_dim // 2
        steps.append(coupling(make_network(count * transform.size), latent_dim, transform, swap=swap))
    return chain(*steps, affine(latent_dim))


def real_nvp(latent_dim: int, make_network: MakeNetwork, layers: int = 4, *, limit: float = 3.0) -> Bijection:
    """A `coupling_flow` of affine layers.

    What is guaranteed: a layer stretches by exp(limit) at most, and starts as the identity. What is not: the inverse of
    several layers in float32, for a network may shift one half by far more than another layer stretches. In 4
    dimensions, with 4 layers whose parameters were all moved by N(0, s^2), inverse(forward(u)) was off by 2e-6, 4e-4, 2
    and 500 for s = 0.05, 0.1, 0.2 and 0.3; with limit = 1 by 1e-6, 8e-6, 1e-3 and 0.6, and even with 0.1 by 0.02 at the
    end. `jaxvae.evaluation.bounds.density_error` tells what a trained flow loses, and the summary of a run does.

    Args:
        latent_dim, make_network, layers: see `coupling_flow`.
        limit: softly bounds the log-scale of each layer, see `affine_transform`.

    Source: Dinh, Sohl-Dickstein and Bengio, 2017, arXiv 1605.08803; on inverses that explode: Behrmann, Vicol, Wang,
    Grosse and Jacobsen, 2021, arXiv 2006.09347.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerMLP
        >>> flow = real_nvp(2, ConditionerMLP, layers=2)
        >>> params = flow.init(jax.random.key(0), jnp.zeros(2), None)
        >>> flow.forward(params, jnp.array([1.0, -1.0]), None)[0].tolist()
        [1.0, -1.0]
    """
    return coupling_flow(latent_dim, make_network, affine_transform(limit), layers)


def neural_spline(
    latent_dim: int, make_network: MakeNetwork, layers: int = 4, *, bins: int = 8, bound: float = 5.0
) -> Bijection:
    """A `coupling_flow` of rational-quadratic splines.

    Each layer is inverted as well as `spline_transform` says; of several, what `real_nvp` says holds here too.

    Args:
        latent_dim, make_network, layers: see `coupling_flow`.
        bins, bound: see `spline_transform`.

    Source: Durkan, Bekasov, Murray and Papamakarios, 2019, arXiv 1906.04032.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerMLP
        >>> flow = neural_spline(2, ConditionerMLP, layers=2, bins=4)
        >>> flow.forward(flow.init(jax.random.key(0), jnp.zeros(2), None), jnp.ones(2), None)[0].shape
        (2,)
    """
    return coupling_flow(latent_dim, make_network, spline_transform(bins, bound), layers)
