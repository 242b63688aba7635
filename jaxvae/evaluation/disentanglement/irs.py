"""Interventional robustness: how far a latent moves when the factors it should not tell of change."""

import numpy as np

from jaxvae.checks import finite_number
from jaxvae.evaluation.disentanglement.tables import check_tables

Array = np.ndarray


def robustness_matrix(codes: Array, factors: Array, *, quantile: float = 0.99) -> tuple[Array, Array]:
    r"""IRS of each latent with each factor, [Z, F], and how far each latent moves at all, [Z].

    IRS_jk = 1 - E_{v_k} [ max |E[z_j | v_k] - E[z_j | v]| ] / max |E[z_j] - E[z_j | v]|

    The maximum runs over all other factors, v being all of them together; the weight of a latent is the denominator.

    Args:
        codes: [N, Z].
        factors: [N, F], sampled independently; examples that agree in all of them are averaged first.
        quantile: in place of both maxima, so that one outlier does not decide; 1 is the paper's. Common code takes the
            0.99 quantile above and the maximum below, which makes every ratio too small and noise look robust.

    Returns:
        The matrix, with 0 for a latent that does not move, and the denominators.

    Source: Suter et al., 2019, arXiv 1811.00007.

    Example:
        >>> factors = np.indices((2, 3)).reshape(2, 6).T
        >>> robustness_matrix(factors, factors, quantile=1.0)[0].round(4).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    finite_number("quantile", quantile, 0.0, 1.0, above=True)
    tables = check_tables(codes, factors)
    combinations, member = np.unique(tables.levels, axis=0, return_inverse=True)
    member, count = member.reshape(-1), np.bincount(member.reshape(-1))
    expected = np.stack([np.bincount(member, z) for z in tables.codes.T], axis=1) / count[:, None]  # E[z | v]
    centre = np.average(expected, axis=0, weights=count)
    furthest = np.quantile(np.abs(expected - centre), quantile, axis=0)
    moved = np.zeros((expected.shape[1], combinations.shape[1]))
    for factor, levels in enumerate(combinations.T):
        for level in np.unique(levels):
            here = levels == level
            middle = np.average(expected[here], axis=0, weights=count[here])
            share = count[here].sum() / len(member)
            moved[:, factor] += share * np.quantile(np.abs(expected[here] - middle), quantile, axis=0)
    moves = tables.varies & (furthest > 0)
    ratio = moved / np.where(moves, furthest, 1.0)[:, None]
    return np.where(moves[:, None], np.clip(1 - ratio, 0.0, 1.0), 0.0), np.where(moves, furthest, 0.0)


def interventional_robustness(codes: Array, factors: Array, *, quantile: float = 0.99) -> float:
    """Each latent's best IRS over the factors, averaged over latents in proportion to how far they move.

    1 where every latent follows one factor; 0 where no factor, once known, narrows a latent down. The weights depend
    on the scale of the latents, as the paper has it; order and sign do not count.

    Args:
        codes: [N, Z].
        factors: [N, F], sampled independently.
        quantile: as in `robustness_matrix`.

    Source: Suter et al., 2019, arXiv 1811.00007.

    Example:
        >>> factors = np.indices((2, 3)).reshape(2, 6).T
        >>> interventional_robustness(-2.0 * factors, factors)
        1.0
    """
    robustness, weights = robustness_matrix(codes, factors, quantile=quantile)
    return float(np.average(robustness.max(axis=1), weights=weights)) if weights.any() else 0.0
