"""What a deterministic autoencoder may ask of its code: to be sparse, or to move little with the input."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.checks import as_float
from jaxvae.math.numerics import log_mean_exp
from jaxvae.objectives.terms import Terms
from jaxvae.roles import floats, function, number

Array = jax.Array
RATE = number(0.0, 1.0, above=True, below=True)


@arguments(z=floats())
def l1_penalty(z: Array) -> Array:
    """Sum of absolute values, sum_j |z_j|: minus the log-density of a unit Laplace prior, without its constant.

    Args:
        z: [...] the code of one example.

    Returns:
        [] nats; its derivative at a coordinate of exactly 0 is 0.

    Source: Olshausen and Field, 1996, doi 10.1038/381607a0, for sparse codes by such a prior.

    Example:
        >>> float(l1_penalty(jnp.array([-1.0, 0.0, 2.0])))
        3.0
    """
    return jnp.abs(z).sum()


@arguments(function=function("lambda x: encoder.apply(params, x)"), x=floats())
def jacobian_penalty(function: Callable[[Array], Array], x: Array) -> Array:
    """Squared Frobenius norm of a Jacobian, sum_ij (d f_i / d x_j)^2, exact.

    One pass for each input in forward mode or one for each output in reverse mode, whichever is fewer.

    Args:
        function: maps [...] to [...].
        x: [...] where to take the Jacobian.

    Returns:
        [] in squared units of the output over the input.

    Source: Rifai et al., 2011, "Contractive auto-encoders", ICML (for an encoder); Ghosh et al., 2020, arXiv
        1903.12436 (for a decoder).

    Example:
        >>> float(jacobian_penalty(lambda x: 2.0 * x, jnp.zeros(3)))
        12.0
    """
    outputs = jax.eval_shape(function, x).size
    jacobian = (jax.jacfwd if x.size <= outputs else jax.jacrev)(function)(x)
    return (as_float("the Jacobian", jacobian) ** 2).sum()


@arguments(logits=floats("[N, Z]", "one row of activations for each example"), rate=RATE)
def bernoulli_kl_penalty(logits: Array, rate: float) -> Array:
    r"""Distance of the mean activations of a batch from a small target rate.

    sum_j KL(rate || m_j), m_j = (1/N) sum_n sigmoid(logits_nj), KL between Bernoulli distributions

    The logarithms of m and of 1 - m come from the logits, so that units that are always off or always on (where m
    rounds to 0 or 1) keep their gradient.

    Args:
        logits: [N, Z] of the activations, one row for each example.
        rate: the target, between 0 and 1.

    Returns:
        [] nats, 0 where every mean activation is the rate.

    Source: Ng, 2011, "Sparse autoencoder", CS294A lecture notes.

    Example:
        >>> round(float(bernoulli_kl_penalty(jnp.zeros((4, 2)), 0.05)), 4)  # 2 KL(0.05 || 0.5)
        0.9893
    """
    log_on = log_mean_exp(jax.nn.log_sigmoid(logits), axis=0)
    log_off = log_mean_exp(jax.nn.log_sigmoid(-logits), axis=0)
    return (rate * (jnp.log(rate) - log_on) + (1 - rate) * (jnp.log1p(-rate) - log_off)).sum()


@arguments(rate=RATE, weight=number())
def sparse_activations(rate: float = 0.05, weight: float = 1.0) -> Callable[[Any, Array, Terms], Array]:
    """A batch penalty for `bound_loss`: weight * `bernoulli_kl_penalty` of the codes, which are logits of activations.

    Let the decoder read `sigmoid` of the code, as in `MappedInput(decoder, jax.nn.sigmoid)`.

    Source: Ng, 2011, "Sparse autoencoder", CS294A lecture notes.

    Example:
        >>> penalty, zero = sparse_activations(0.5), jnp.zeros((4, 1))
        >>> terms = Terms(zero, jnp.zeros((4, 1, 0)), zero, zero, jnp.zeros((4, 1, 2)), None)
        >>> abs(float(penalty({}, jax.random.key(0), terms))) < 1e-6
        True
    """

    def penalty(params: Any, key: Array, terms: Terms) -> Array:
        return weight * bernoulli_kl_penalty(terms.z.reshape(-1, terms.z.shape[-1]), rate)

    return penalty
