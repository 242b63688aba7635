"""Gradient estimators: other unbiased gradients of the same bound, with less noise or for other posteriors.

A bound is a function of two numbers per sample, l_k = log p(x | z_k) and r_k = log p(z_k) - log q(z_k | x). An
estimator turns all of them into the weights of the few gradients that one sample offers, see `Weights`. That serves any
smooth bound and any model whose posterior, prior and likelihood are `Conditional`s.

A parameter counts by its role. What the likelihood and the prior read belongs to the model, what the posterior reads to
the inference; a parameter that both read, such as the encoder that a VampPrior shares, gets the sum of its two
gradients. So the rule asks for no list of names.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.checks import divides
from jaxvae.objectives.bounds import elbo
from jaxvae.objectives.rates import capacity_bound, free_bits_bound
from jaxvae.objectives.renyi import vr_max_bound
from jaxvae.objectives.terms import Terms
from jaxvae.roles import integer

Array = jax.Array
Bound = Callable[[Terms], Array]
KINKED = (capacity_bound, free_bits_bound, vr_max_bound)
BLOCK = 8  # rows of [K, K] numbers in flight


class Weights(NamedTuple):
    """The weights of a sample's gradients in that of the bound; what is None is left out.

    Attributes:
        model: ([K], [K]), of the gradients of l and of log p(z) in the model's parameters, at a fixed z.
        path: ([K], [K]), of the gradients of l and of r in z, and from there in the inference's parameters.
        score: [K], of the gradient of log q(z | x) in the inference's parameters, at a fixed z.
    """

    model: tuple[Array, Array]
    path: tuple[Array, Array] | None = None
    score: Array | None = None


Estimator = Callable[[Bound, Array, Array], Weights]


def sticking_the_landing(bound: Bound, log_likelihood: Array, log_ratio: Array) -> Weights:
    r"""The ELBO's gradient along the path of z alone: log q(z | x) with its own parameters held fixed.

    What it leaves out, the score of q, is 0 on average; at the optimal posterior the estimate has no variance at all.
    That holds for the ELBO only: in a bound that is not linear in the log-weights the scores do not average to 0.

    Args:
        bound: `elbo`, whatever its beta.
        log_likelihood, log_ratio: [K] each, nats.

    Returns:
        `Weights`; pass the function itself as `bound_loss(..., estimator=sticking_the_landing)`.

    Raises:
        ValueError: for another bound.

    Source: Roeder, Wu and Duvenaud, 2017, arXiv 1703.09194.

    Example:
        >>> sticking_the_landing(elbo, jnp.zeros(2), jnp.zeros(2)).path[0].tolist()
        [0.5, 0.5]
    """
    if original(bound) is not elbo:
        raise ValueError(
            f"sticking_the_landing is biased for {name_of(bound)}: it is for elbo, which is linear in the log-weights. "
            f"Use doubly_reparameterized, which is the same for elbo and unbiased for smooth bounds."
        )
    slopes = jax.grad(of_pairs(bound), (0, 1))(log_likelihood, log_ratio)
    return Weights(slopes, slopes)


def doubly_reparameterized(bound: Bound, log_likelihood: Array, log_ratio: Array) -> Weights:
    r"""The path of z alone, with weights b_k - b_kk that make up for the scores that are left out (DReG).

    b_k and b_kk are the bound's first and second derivative in the log-weight of sample k; the second one is what the
    score of q turns into when it is reparameterised once more. For IWAE this is w_k^2 (w_k normalised) where the plain
    gradient has w_k, and the encoder's signal grows with K instead of drowning. For the ELBO it sticks the landing.

    Args:
        bound: any bound with continuous first derivatives in the log-densities.
        log_likelihood, log_ratio: [K] each, nats.

    Returns:
        `Weights`; pass the function itself as `bound_loss(..., estimator=doubly_reparameterized)`.

    Raises:
        ValueError: for a bound with a kink (vr_max_bound, capacity_bound, free_bits_bound), where it is biased.

    Source: Tucker, Lawson, Gu and Maddison, 2018, arXiv 1810.04152.

    Example:
        >>> from jaxvae.objectives.bounds import iwae_bound
        >>> weights = doubly_reparameterized(iwae_bound, jnp.log(jnp.array([0.2, 0.8])), jnp.zeros(2))
        >>> [round(float(w), 4) for w in weights.path[0]]
        [0.04, 0.64]
    """
    if original(bound) in KINKED:
        raise ValueError(
            f"doubly_reparameterized is biased for {name_of(bound)}, whose derivative jumps: expected a smooth bound. "
            f"Leave out estimator for the pathwise gradient."
        )
    value = of_pairs(bound)
    pairs = log_likelihood, log_ratio
    likelihood_slopes, ratio_slopes = jax.grad(value, (0, 1))(*pairs)

    def curvature(k: Array) -> tuple[Array, Array]:
        def slope(l: Array, r: Array) -> Array:
            moved = log_likelihood.at[k].set(l), log_ratio.at[k].set(r)
            return jax.grad(value, 1)(*moved)[k]

        return jax.grad(slope, (0, 1))(log_likelihood[k], log_ratio[k])

    along_likelihood, along_ratio = _for_each_sample(curvature, log_ratio.size)
    path = likelihood_slopes - along_likelihood, ratio_slopes - along_ratio
    return Weights((likelihood_slopes, ratio_slopes), path)


def score_function(bound: Bound, log_likelihood: Array, log_ratio: Array) -> Weights:
    r"""The gradient of log q times the bound minus a baseline: for a z that cannot be differentiated.

    The baseline of sample k is the bound with sample k's log-densities replaced by the means of the others', so that it
    does not depend on z_k. For IWAE this is VIMCO, for the ELBO the leave-one-out baseline. With K = 1 there are no
    others and no baseline, and the noise is great.

    Args:
        bound: any bound.
        log_likelihood, log_ratio: [K] each, nats.

    Returns:
        `Weights`; pass the function itself as `bound_loss(..., estimator=score_function)`.

    Source: Mnih and Rezende, 2016, arXiv 1602.06725.

    Example:
        >>> score_function(elbo, jnp.array([3.0, 1.0]), jnp.zeros(2)).score.tolist()  # (3 - 1) / 2 - 1 / 2, ...
        [0.5, -1.5]
    """
    value = of_pairs(bound)
    slopes = jax.grad(value, (0, 1))(log_likelihood, log_ratio)
    signal, samples = value(log_likelihood, log_ratio), log_ratio.size
    if samples > 1:

        def without(k: Array) -> Array:
            others = jnp.arange(samples) != k
            return value(*(jnp.where(others, a, a.mean(where=others)) for a in (log_likelihood, log_ratio)))

        signal -= _for_each_sample(without, samples)
    return Weights(slopes, None, signal - slopes[1])


@arguments(groups=integer())
def piwae(groups: int) -> Estimator:
    r"""The model follows the bound of all K samples, the inference the mean of the bounds of M groups (PIWAE).

    With `iwae_bound` the decoder is trained by IWAE with K samples and the encoder by MIWAE with M groups, whose
    gradient tells the encoder more. The two do not climb one common objective.

    Args:
        groups: M, a divisor of K.

    Returns:
        An estimator, for `bound_loss(..., estimator=piwae(groups=5))`.

    Raises:
        ValueError: when it is used, for groups that do not divide K.

    Source: Rainforth, Kosiorek, Le, Maddison, Igl, Wood and Teh, 2018, arXiv 1802.04537.

    Example:
        >>> from jaxvae.objectives.bounds import iwae_bound
        >>> weights = piwae(groups=2)(iwae_bound, jnp.log(jnp.array([0.2, 0.8])), jnp.zeros(2))
        >>> [round(float(w), 4) for w in (*weights.model[0], *weights.path[0])]
        [0.2, 0.8, 0.5, 0.5]
    """

    def estimator(bound: Bound, log_likelihood: Array, log_ratio: Array) -> Weights:
        divides("groups", groups, log_ratio.size, "samples of an example")
        value = of_pairs(bound)

        def grouped(l: Array, r: Array) -> Array:
            return jax.vmap(value)(l.reshape(groups, -1), r.reshape(groups, -1)).mean()

        path = jax.grad(grouped, (0, 1))(log_likelihood, log_ratio)
        return Weights(jax.grad(value, (0, 1))(log_likelihood, log_ratio), path, -path[1])

    return estimator


def of_pairs(bound: Bound) -> Callable[[Array, Array], Array]:
    """The bound as a function of log-likelihoods [K] and log-ratios [K]; the KL is minus these, of one sample."""

    def value(log_likelihood: Array, log_ratio: Array) -> Array:
        nothing = jnp.zeros_like(log_ratio)
        return bound(Terms(log_likelihood, -log_ratio[:, None], log_likelihood + log_ratio, nothing, None, None))

    return value


def original(bound: Bound) -> Bound:
    """The function inside `functools.partial`."""
    while hasattr(bound, "func"):
        bound = bound.func
    return bound


def name_of(bound: Any) -> str:
    """The name of the function inside, for messages."""
    return getattr(original(bound), "__name__", repr(bound))


def _for_each_sample(f: Callable[[Array], Any], samples: int) -> Any:
    """f(k) for every sample, a block at a time: all at once would keep [K, K] numbers for every example."""
    return jax.lax.map(f, jnp.arange(samples), batch_size=min(samples, BLOCK))
