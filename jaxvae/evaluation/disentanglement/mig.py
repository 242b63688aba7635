"""Mutual information gap: how much more the best latent tells of a factor than the second best."""

import numpy as np

from jaxvae.evaluation.disentanglement.information import entropy, information_matrix, posterior_information
from jaxvae.evaluation.disentanglement.tables import check_codes, check_tables
from jaxvae.models.records import Key

Array = np.ndarray


def information_gap(information: Array, entropies: Array) -> Array:
    r"""The gap of each factor, [F]: (I(z_first; v_k) - I(z_second; v_k)) / H(v_k), of the two latents that tell most.

    Args:
        information: [Z, F] nats; where Z is 1 the second latent tells nothing.
        entropies: [F] of the factors, nats.

    Raises:
        ValueError: for other shapes, or an entropy that is not positive.

    Source: Chen et al., 2018, arXiv 1802.04942.

    Example:
        >>> information_gap(np.array([[0.6], [0.1], [0.2]]), np.array([0.8])).round(4).tolist()
        [0.5]
    """
    information, entropies = check_codes(information, "information"), np.asarray(entropies, np.float64)
    if entropies.shape != information.shape[1:] or not np.all(entropies > 0):
        raise ValueError(f"entropies is {entropies}, expected {information.shape[1]} positive numbers, one a factor.")
    ranked = np.sort(np.concatenate([np.zeros((1, len(entropies))), information]), axis=0)
    return (ranked[-1] - ranked[-2]) / entropies


def mutual_information_gap(codes: Array, factors: Array, *, bins: int | None = None, correct: bool = True) -> float:
    r"""MIG of codes cut into bins: the mean over factors of the `information_gap`. At most 1.

    No number depends on the order of the latents or on an increasing function of one, and of its sign only what lies
    on an edge between bins. For posteriors `posterior_gap` is the paper's own, without bins. A factor that is told by
    two latents alike has no gap, even where no other factor is in them.

    Args:
        codes: [N, Z], such as posterior means.
        factors: [N, F].
        bins, correct: as in `information_matrix`.

    Source: Chen et al., 2018, arXiv 1802.04942.

    Example:
        >>> factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> round(mutual_information_gap(factors[:, ::-1], factors), 6)
        1.0
    """
    information = information_matrix(codes, factors, bins=bins, correct=correct)
    index = check_tables(codes, factors).levels
    return float(information_gap(information, np.array([entropy(v, correct=correct) for v in index.T])).mean())


def posterior_gap(key: Key, mean: Array, log_var: Array, factors: Array, *, draws: int = 2000) -> float:
    """MIG of diagonal Gaussian posteriors, from `posterior_information`: the paper's estimate. At most 1.

    Args:
        key: consumed.
        mean, log_var: [N, Z] of the posteriors.
        factors: [N, F].
        draws: posterior samples, at most N.

    Source: Chen et al., 2018, arXiv 1802.04942.

    Example:
        >>> import jax
        >>> mean = np.repeat([[-9.0], [9.0]], 10, axis=0)
        >>> round(posterior_gap(jax.random.key(0), mean, np.zeros((20, 1)), mean), 4)
        1.0
    """
    information = posterior_information(key, mean, log_var, factors, draws=draws)
    index = check_tables(mean, factors).levels
    return float(information_gap(information, np.array([entropy(v) for v in index.T])).mean())
