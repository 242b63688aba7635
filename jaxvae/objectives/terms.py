"""The waist of the library: what one posterior sample of one example contributes to any objective."""

from typing import Any, NamedTuple

import jax

from jaxvae.arguments import Role
from jaxvae.checks import as_array, shown

Array = jax.Array


class DiagNormal(NamedTuple):
    """A Gaussian with diagonal covariance: mean [...] and log_var [...], the natural logarithm of the variance.

    Example:
        >>> from jaxvae.math.normal import normal_kl_standard
        >>> float(normal_kl_standard(*DiagNormal(jax.numpy.array([3.0, 4.0]), jax.numpy.zeros(2))))
        12.5
    """

    mean: Array
    log_var: Array


class Terms(NamedTuple):
    """Log-densities of one posterior sample z of one example x, all in nats, summed over event dimensions.

    Every model produces `Terms` and every objective consumes them, so each can be written and tested alone. Several
    samples of one example are the same record with a leading axis [K] on every leaf.

    Attributes:
        log_likelihood: [] log p(x | z).
        kl: [L] KL(q_l || p_l) for each latent group l, analytic where it has a closed form, else log q - log p at z;
            L = 0 for an autoencoder.
        log_weight: [] log p(x, z) - log q(z | x).
        penalty: [] what else the model asks to minimise (commitment, sparsity, contraction).
        z: [...] the sample, a pytree for hierarchical models.
        posterior: `DiagNormal(mean, log_var)`, or None where q is not a diagonal Gaussian.

    Example:
        >>> import jax.numpy as jnp
        >>> terms = Terms(jnp.float32(-80.0), jnp.array([20.0, 5.0]), jnp.float32(-104.0), jnp.float32(0.0), None, None)
        >>> float(terms.log_likelihood - terms.kl.sum())
        -105.0
    """

    log_likelihood: Array
    kl: Array
    log_weight: Array
    penalty: Array
    z: Any
    posterior: Any


def _as_terms(name: str, terms: Any) -> Terms:
    """The terms, with arrays for numbers; raises an error for anything that no objective can take."""
    if not isinstance(terms, Terms):
        raise TypeError(
            f"{name} is {shown(terms)}, expected Terms, as model.terms(params, key, x) returns them. Of numbers of "
            f"your own make Terms(log_likelihood, kl, log_weight, penalty, z, posterior)."
        )
    numbers = (as_array(f"{name}.{field}", part) for field, part in zip(Terms._fields[:4], terms[:4], strict=True))
    terms = Terms._make((*numbers, *terms[4:]))
    if terms.kl.ndim == 0:
        raise ValueError(f"{name}.kl has shape (), expected [..., L]: one KL for each group of latents. Pass kl[None].")
    return terms


def _as_sampled_terms(name: str, terms: Any) -> Terms:
    terms = _as_terms(name, terms)
    if terms.log_weight.ndim != 1 or terms.log_weight.size == 0:
        raise ValueError(
            f"{name}.log_weight has shape {terms.log_weight.shape}, expected [K]: one example with a leading axis of "
            f"at least one sample. Sample with jax.vmap(model.terms, in_axes=(None, 0, None))(params, keys, x)."
        )
    return terms


TERMS = Role(_as_terms)  # with any leading axes
SAMPLED_TERMS = Role(_as_sampled_terms)  # of one example, with a leading axis of one sample or more
