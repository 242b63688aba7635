"""Densities made by pushing a simple one through a bijection, and the trained prior that is one of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.flows.records import Bijection, check_bijection
from jaxvae.models.meaning import need_real
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.records import Conditional, Key, Params, merge

Array = jax.Array


class Flow(NamedTuple):
    """What a density v = f(u), with u of the base, is made of: its exact code u, and the way back.

    Attributes:
        base: a `Conditional` over u [D].
        inverse: (params, v, context) -> u.
        forward: (params, u, context) -> v.
    """

    base: Conditional
    inverse: Callable[[Params, Array, Any], Array]
    forward: Callable[[Params, Array, Any], Array]


def transformed(base: Conditional, bijection: Bijection, latent_dim: int, *, name: str = "flow") -> Conditional:
    """The distribution of v = f(u) for u from the base: log p(v) = log p_base(f^-1(v)) + log |det df^-1/dv|.

    A sample and its density take the forward direction only; `log_prob` takes the inverse. `mean` is f(mean of the
    base), the image of the centre, which is the expectation of v for affine maps only. The context goes to the base
    and to the bijection.

    Args:
        base: a `Conditional` over vectors [latent_dim].
        bijection: f.
        latent_dim: the number of dimensions.
        name: the name of the bijection's parameters in the dict.

    Raises:
        ValueError, TypeError: for an impossible latent_dim, a base off R^n, or what is no `Bijection`.

    Source: Rezende and Mohamed, 2015, arXiv 1505.05770.

    Example:
        >>> from jaxvae.flows.elementary import affine
        >>> wide = transformed(standard_normal(1), affine(1, scale=2.0), 1)
        >>> params = wide.init(jax.random.key(0), None)
        >>> round(float(jnp.exp(wide.log_prob(params, jnp.zeros(1), None))), 4)  # 1 / sqrt(2 pi 4)
        0.1995
    """
    check_bijection(bijection)
    need_real(base, "a bijection", "Give it a base such as standard_normal.")
    latent_dim = positive_integer("latent_dim", latent_dim)

    def init(key: Key, context: Any) -> Params:
        key_base, key_flow = jax.random.split(key)
        u = jnp.zeros(latent_dim, jnp.float32)
        flow = bijection.init(key_flow, u, context)
        return merge(base.init(key_base, context), {name: flow} if flow else {})  # weights files hold no empty dict

    def sample(params: Params, key: Key, context: Any) -> tuple[Array, Array]:
        u, log_base = base.sample(params, key, context)
        v, log_det = bijection.forward(params.get(name, {}), u, context)
        return v, log_base - log_det

    def log_prob(params: Params, v: Array, context: Any) -> Array:
        u, log_det = bijection.inverse(params.get(name, {}), v, context)
        return base.log_prob(params, u, context) + log_det

    def to_base(params: Params, v: Array, context: Any) -> Array:
        return bijection.inverse(params.get(name, {}), v, context)[0]

    def from_base(params: Params, u: Array, context: Any) -> Array:
        return bijection.forward(params.get(name, {}), u, context)[0]

    def mean(params: Params, context: Any) -> Array:
        return from_base(params, base.mean(params, context), context)

    return Conditional(init, sample, log_prob, mean, flow=Flow(base, to_base, from_base))


def flow_prior(bijection: Bijection, latent_dim: int, *, name: str = "prior") -> Conditional:
    """A trained prior p(z): a standard normal pushed through a bijection.

    The ELBO asks for log p(z) at posterior samples, so the inverse should be the fast direction: `real_nvp`,
    `neural_spline`, or `autoregressive_flow(masked_autoregressive, ...)`. `mean` is the image of 0, see `transformed`;
    it is no expectation.

    Args:
        bijection: sampling goes forward, the density backward; it is given the context None.
        latent_dim: the number of latents.
        name: the name of its parameters in the dict.

    Raises:
        ValueError, TypeError: for an impossible latent_dim, or what is no `Bijection`.

    Source: Rezende and Mohamed, 2015, arXiv 1505.05770; as a prior, Chen et al., 2017, arXiv 1611.02731.

    Example:
        >>> from jaxvae.flows.couplings import real_nvp
        >>> from jaxvae.networks.conditioner import ConditionerMLP
        >>> prior = flow_prior(real_nvp(2, ConditionerMLP, layers=2), 2)
        >>> params = prior.init(jax.random.key(0), None)
        >>> round(float(prior.log_prob(params, jnp.zeros(2), None)), 4)  # starts as a standard normal
        -1.8379
    """
    return transformed(standard_normal(latent_dim), bijection, latent_dim, name=name)
