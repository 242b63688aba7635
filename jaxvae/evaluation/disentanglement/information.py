"""Mutual information of each latent with each factor, from codes cut into bins or from the posteriors themselves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.disentanglement.tables import check_codes, check_tables
from jaxvae.math.normal import normal_log_prob
from jaxvae.models.records import Key

Array = np.ndarray
BINS = 20


def equal_mass_bins(column: Array, bins: int) -> Array:
    """Numbers [N] as bin numbers: each distinct value its own where at most `bins` are, else bins of equal mass.

    Ranks alone count, so that any increasing function of the code gives the same bins.

    Example:
        >>> equal_mass_bins(np.array([5.0, 7.0, 5.0]), 2).tolist()
        [0, 1, 0]
        >>> equal_mass_bins(np.array([0.0, 1.0, 2.0, 30.0]), 2).tolist()
        [0, 0, 1, 1]
    """
    levels, index, counts = np.unique(column, return_inverse=True, return_counts=True)
    if len(levels) <= bins:
        return index
    middle = np.cumsum(counts) - counts / 2  # ties stay together, in the bin that holds their middle
    return np.minimum((middle * bins / len(column)).astype(np.int64), bins - 1)[index]


def entropy(index: Array, *, correct: bool = False) -> float:
    """Entropy of whole numbers [N] in nats; `correct` adds (K - 1) / 2N for K values seen (Miller and Madow, 1955).

    Example:
        >>> round(entropy(np.array([0, 1, 0, 1])), 4)
        0.6931
    """
    counts = np.bincount(index)
    shares = counts[counts > 0] / len(index)
    return float(-np.sum(shares * np.log(shares)) + correct * (len(shares) - 1) / (2 * len(index)))


def mutual_information(a: Array, b: Array, *, correct: bool = False) -> float:
    r"""I(a; b) = H(a) + H(b) - H(a, b) of whole numbers [N] and [N], in nats, at least 0.

    The frequencies of N examples overstate it: two independent variables of A and B values have (A - 1)(B - 1) / 2N
    nats on average, 0.03 for 20 bins, 32 values and 10,000 examples. `correct` takes that off.

    Source: Miller, 1955, Note on the bias of information estimates.

    Example:
        >>> round(mutual_information(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])), 4)
        0.6931
    """
    pair = np.unique(a * (int(np.max(b)) + 1) + b, return_inverse=True)[1]
    return max(0.0, sum(entropy(x, correct=correct) for x in (a, b)) - entropy(pair, correct=correct))


def information_matrix(codes: Array, factors: Array, *, bins: int | None = None, correct: bool = True) -> Array:
    """I(z_j; v_k) in nats, [Z, F], of codes cut into bins of equal mass.

    Much code cuts into 20 bins of equal width, which hang on the outermost code, and corrects nothing: its numbers, and
    a MIG made of them, are not these.

    Args:
        codes: [N, Z].
        factors: [N, F], each with few values.
        bins: for codes with more distinct values; by default 20, or as many as the finest factor has, since fewer
            bins than values could not tell the values apart: even a perfect code would seem to miss some.
        correct: take off the bias of the frequencies, see `mutual_information`.

    Example:
        >>> factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> information_matrix(2.0 * factors, factors, correct=False).round(4).tolist()
        [[0.6931, 0.0], [0.0, 0.6931]]
    """
    tables = check_tables(codes, factors)
    bins = max(BINS, *tables.counts) if bins is None else positive_integer("bins", bins, 2)
    binned = [equal_mass_bins(column, bins) for column in tables.codes.T]
    return np.array([[mutual_information(z, v, correct=correct) for v in tables.levels.T] for z in binned])


def posterior_information(
    key: Key, mean: Array, log_var: Array, factors: Array, *, draws: int = 2000, batch_size: int = 100
) -> Array:
    r"""I(z_j; v_k) in nats, [Z, F], of samples of diagonal Gaussian posteriors: what Chen et al. compute, no bins.

    E_{n, z_j ~ q(z_j | x_n)} [ log mean_{m: v_k(m) = v_k(n)} q(z_j | x_m) - log mean_m q(z_j | x_m) ]

    Both means run over all N examples, so that the only error is that of the draws. Noise in the code counts as noise
    here, where bins of posterior means see only where the mean lies.

    Args:
        key: a JAX random key; consumed.
        mean, log_var: [N, Z] of the posteriors, the second the natural logarithm of the variance.
        factors: [N, F].
        draws: examples, evenly spread over all N, of which one sample each is taken; at most N.
        batch_size: samples in flight at a time; no number depends on it.

    Raises:
        ValueError, TypeError: for impossible tables, different shapes of mean and log_var, or impossible draws.

    Source: Chen et al., 2018, arXiv 1802.04942.

    Example:
        >>> mean = np.repeat([[-9.0], [9.0]], 10, axis=0)
        >>> posterior_information(jax.random.key(0), mean, np.zeros((20, 1)), mean).round(4).tolist()
        [[0.6931]]
    """
    tables, log_var = check_tables(mean, factors), check_codes(log_var, "log_var")
    if log_var.shape != tables.codes.shape:
        raise ValueError(f"log_var has shape {log_var.shape}, expected {tables.codes.shape}, the shape of mean.")
    count = min(positive_integer("draws", draws), len(log_var))
    rows = np.floor((np.arange(count) + 0.5) * len(log_var) / count).astype(np.int64)
    means, log_vars = tables.codes.astype(np.float32), log_var.astype(np.float32)
    noise = np.asarray(jax.random.normal(key, (count, means.shape[1])))
    z = means[rows] + np.exp(log_vars[rows] / 2) * noise
    found: Array = map_batches(
        functools.partial(_log_ratios, means, log_vars, tables.levels), z, tables.levels[rows], batch_size=batch_size
    )
    return found.astype(np.float64).mean(0)


@jax.jit
def _log_ratios(
    mean: jax.Array, log_var: jax.Array, index: jax.Array, _: jax.Array, z: jax.Array, own: jax.Array
) -> jax.Array:
    """log q(z_j | v_k) / q(z_j) [B, Z, F] of samples z [B, Z], whose examples have the factors `own` [B, F]."""
    of_all = jax.vmap(jax.vmap(normal_log_prob, (None, 0, 0)), (0, None, None))

    def latent(args: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        densities = of_all(*args)  # [B, N]

        def factor(own: jax.Array, index: jax.Array) -> jax.Array:
            same = own[:, None] == index[None]
            return log_mean(jnp.where(same, densities, -jnp.inf), same.sum(1))

        given = jax.vmap(factor, (1, 1), 1)(own, index)
        return given - log_mean(densities, densities.shape[1])[:, None]

    def log_mean(x: jax.Array, count: jax.Array | int) -> jax.Array:
        return jax.nn.logsumexp(x, axis=1) - jnp.log(count)

    return jnp.moveaxis(jax.lax.map(latent, (z.T, mean.T, log_var.T)), 0, 1)
