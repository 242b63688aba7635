"""Objectives that steer the rate, the KL of the posterior from the prior, in total or latent by latent.

Each averages the KL over all leading axes before it does anything that is not linear, so that each is two rules:

- of the minibatch, for terms of a batch [B, K]: train with `batch_bound_loss`. This is the rule of the papers on free
  bits and on balancing, and what `--objective.kl-over minibatch`, the default, trains with.
- of each example, for terms of one example [K]: train with `bound_loss`. It is at most the former: an example below
  the threshold pays for it although another one is above. On the command line `--objective.kl-over example`.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.checks import divides
from jaxvae.objectives.terms import TERMS, Terms
from jaxvae.roles import integer, number, some

Array = jax.Array


@arguments(terms=TERMS, capacity=number(), gamma=number())
def capacity_bound(terms: Terms, capacity: Array | float, gamma: Array | float = 1000.0) -> Array:
    r"""ELBO that holds the KL at a capacity: E_q[log p(x | z)] - gamma |KL - capacity|.

    A capacity of 0 makes it the beta-VAE objective with beta = gamma; the paper raises it from 0 during training.

    Args:
        terms: `Terms` with any leading axes: [B, K] for the mean KL of a minibatch, [K] for each example's own.
        capacity: [] nats, >= 0; may be traced, so that it can follow a schedule.
        gamma: [] >= 0; may be traced.

    Returns:
        [] nats.

    Source: Burgess et al., 2018, arXiv 1804.03599; of the minibatch's mean: Locatello et al., 2019, arXiv 1811.12359.

    Example:
        >>> terms = Terms(jnp.float32(-80.0), jnp.array([20.0, 5.0]), jnp.float32(-104.0), jnp.float32(0.0), None, None)
        >>> float(capacity_bound(terms, capacity=24.0, gamma=10.0)), float(capacity_bound(terms, 26.0, gamma=10.0))
        (-90.0, -90.0)
    """
    return terms.log_likelihood.mean() - gamma * jnp.abs(_mean_kl(terms).sum() - capacity)


@arguments(terms=TERMS, free_nats=number(), groups=integer())
def free_bits_bound(terms: Terms, free_nats: Array | float, groups: int | None = None) -> Array:
    r"""ELBO in which each group of latents may tell some nats free of charge: E[log p(x | z)] - sum_j max(free, KL_j).

    KL_j is the mean over all leading axes. A group that tells less than `free_nats` gets no gradient from its KL, so
    that it need not collapse. 0 is the ELBO (with a KL in closed form, which is never negative).

    Args:
        terms: `Terms` with any leading axes: [B, K] for the mean over the minibatch, as the paper writes it; [K] holds
            each example's own KL above the threshold.
        free_nats: [] nats for each group, >= 0 (lambda in the paper); may be traced.
        groups: the number of groups of equally many neighbouring latents; by default each latent is one.

    Returns:
        [] nats, never above the ELBO.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever and Welling, 2016, arXiv 1606.04934.

    Example:
        >>> terms = Terms(jnp.float32(-80.0), jnp.array([20.0, 5.0]), jnp.float32(-104.0), jnp.float32(0.0), None, None)
        >>> float(free_bits_bound(terms, 6.0)), float(free_bits_bound(terms, 6.0, groups=1))
        (-106.0, -105.0)
    """
    kl = _mean_kl(terms)
    if groups is not None:
        divides("groups", groups, kl.size, "KL terms of an example")
        kl = kl.reshape(groups, -1).sum(axis=1)
    return terms.log_likelihood.mean() - jnp.maximum(kl, free_nats).sum()


@arguments(terms=TERMS, beta=number(), sizes=some(integer(), such_as="(4, 1)"))
def balanced_bound(terms: Terms, beta: Array | float = 1.0, sizes: Sequence[int] | None = None) -> Array:
    r"""ELBO whose KL terms are weighted so that the groups of a hierarchy share the work.

    E[log p(x | z)] - beta sum_l gamma_l KL_l, gamma_l = L a_l / sum_i a_i with a_l = |KL_l| / size_l held constant.

    A group that tells more per latent than the others pays more for it; the weights average to 1. The paper uses it
    while beta warms up from 0, and the plain `elbo` afterwards. (Its appendix multiplies by the size; its authors'
    code divides, and they call the text a misprint.)

    Args:
        terms: `Terms` with any leading axes and L groups; [B, K] for the paper's means over the minibatch.
        beta: [] >= 0; may be traced.
        sizes: L positive numbers, the latents of each group; by default all equal.

    Returns:
        [] nats.

    Raises:
        ValueError: for sizes that are not as many as the groups.

    Source: Vahdat and Kautz, 2020, arXiv 2007.03898, appendix A; Vahdat et al., 2018, arXiv 1802.04920, appendix H.

    Example:
        >>> terms = Terms(jnp.float32(-80.0), jnp.array([20.0, 5.0]), jnp.float32(-104.0), jnp.float32(0.0), None, None)
        >>> float(balanced_bound(terms)), float(balanced_bound(terms, sizes=(4, 1)))  # weights (1.6, 0.4) and (1, 1)
        (-114.0, -105.0)
    """
    kl = _mean_kl(terms)
    share = jnp.abs(jax.lax.stop_gradient(kl))
    if sizes is not None:
        if len(sizes) != kl.size:
            raise ValueError(f"sizes is {sizes!r}, expected {kl.size} positive integers, one for each KL term.")
        share /= jnp.array(sizes, kl.dtype)
    total = share.sum()
    weights = jnp.where(total > 0, kl.size * share / jnp.where(total > 0, total, 1.0), 1.0)
    return terms.log_likelihood.mean() - beta * (weights * kl).sum()


def _mean_kl(terms: Terms) -> Array:
    """[L], the mean of the KL terms over every leading axis."""
    return terms.kl.mean(axis=tuple(range(terms.kl.ndim - 1)))
