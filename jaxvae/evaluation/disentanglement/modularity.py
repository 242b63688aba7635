"""Modularity: whether each latent tells of one factor only."""

import numpy as np

from jaxvae.checks import finite_number
from jaxvae.evaluation.disentanglement.information import information_matrix
from jaxvae.evaluation.disentanglement.tables import check_codes

Array = np.ndarray


def modularity_from_information(information: Array, *, threshold: float = 0.02) -> float:
    r"""Mean over latents of 1 - sum_{k != best} I_jk^2 / (I_jbest^2 (F - 1)).

    Args:
        information: [Z, F] nats, F at least 2.
        threshold: nats; a latent that tells less than that of every factor is left out. The ratio of two noises says
            nothing, and counting such a latent as good or as bad would make the score a count of dead latents.

    Returns:
        In [0, 1]; 0 where no latent tells anything. Several latents may share a factor at no cost.

    Raises:
        ValueError, TypeError: for another shape, a single factor, or a threshold that is not positive.

    Source: Ridgeway and Mozer, 2018, arXiv 1802.05312, section 3; there and in common code dead latents have no rule,
        or count 0.

    Example:
        >>> modularity_from_information(np.array([[0.5, 0.0, 0.0], [0.4, 0.4, 0.0]]))
        0.75
    """
    information = check_codes(information, "information")
    finite_number("threshold", threshold, above=True)
    if information.shape[1] < 2:
        raise ValueError("there is one factor, expected at least two: modularity asks whether a latent mixes them.")
    best = information.max(axis=1)
    told = information[best > threshold] / best[best > threshold][:, None]
    if len(told) == 0:
        return 0.0
    return float(np.mean(1 - (np.square(told).sum(axis=1) - 1) / (information.shape[1] - 1)))


def modularity_score(
    codes: Array, factors: Array, *, bins: int | None = None, correct: bool = True, threshold: float = 0.02
) -> float:
    """`modularity_from_information` of the `information_matrix`.

    Args:
        codes: [N, Z].
        factors: [N, F], F at least 2.
        bins, correct: as in `information_matrix`.
        threshold: nats below which a latent tells nothing.

    Source: Ridgeway and Mozer, 2018, arXiv 1802.05312.

    Example:
        >>> factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> round(modularity_score(factors, factors), 6)
        1.0
    """
    return modularity_from_information(
        information_matrix(codes, factors, bins=bins, correct=correct), threshold=threshold
    )
