"""Unsupervised disentanglement ranking: how well a model's latents agree, one to one, with those of other seeds."""

from collections.abc import Sequence

import numpy as np

from jaxvae.evaluation.disentanglement.tables import check_codes
from jaxvae.evaluation.statistics import varying

Array = np.ndarray


def similarity(a: Array, b: Array) -> Array:
    """Absolute rank correlation (Spearman) of each latent of a [N, Z] with each of b [N, Y]: [Z, Y] in [0, 1].

    Raises:
        ValueError, TypeError: for other shapes, or different N.

    Example:
        >>> similarity(np.array([[1.0], [2.0], [3.0]]), np.array([[-1.0], [-8.0], [-9.0]])).round(4).tolist()
        [[1.0]]
    """
    from scipy.stats import rankdata

    tables = check_codes(a, "a"), check_codes(b, "b")
    if len(a) != len(b):
        raise ValueError(f"a has {len(a)} rows and b {len(b)}, expected codes of the same examples in the same order.")
    standard = []
    for table in tables:
        ranks = rankdata(table, axis=0)
        ranks = ranks - ranks.mean(0)
        spread = np.sqrt(np.square(ranks).sum(0))
        standard.append(ranks / np.where(spread > 0, spread, 1.0))
    return np.abs(standard[0].T @ standard[1])


def pair_score(agreement: Array) -> float:
    r"""UDR of two models: 1 / (A + B) [ sum_b r_b^2 / sum_a R_ab + sum_a r_a^2 / sum_b R_ab ], r the largest R.

    Args:
        agreement: R [A, B] in [0, 1], of the informative latents of the two.

    Returns:
        1 where each latent of either model agrees with exactly one of the other; 0 where no latent is informative.

    Source: Duan et al., 2020, arXiv 1905.12614; their code averages the halves over A and B apart, the same if A = B.

    Example:
        >>> pair_score(np.eye(3)), pair_score(np.full((2, 2), 0.5))
        (1.0, 0.25)
    """
    total = 0.0
    for axis in (0, 1):
        best, all_of_them = agreement.max(axis, initial=0.0), agreement.sum(axis)
        total += float(np.sum(best**2 / np.where(all_of_them > 0, all_of_them, 1.0)))
    return total / sum(agreement.shape) if sum(agreement.shape) else 0.0


def unsupervised_ranking(codes: Sequence[Array], informative: Sequence[Array] | None = None) -> Array:
    """UDR of each of M models, [M]: the median of its `pair_score` with every other one.

    The models should differ in nothing but the seed: one that is disentangled is found again by most seeds, up to
    order and sign, and an entangled one is entangled in another way each time. No factors are needed.

    Args:
        codes: M at least 2 arrays [N, Z_i], codes of the same examples in the same order.
        informative: M boolean arrays [Z_i], which latents carry something: a KL above 0.01 nats in the paper. By
            default those that vary, which keeps collapsed latents whose means still move a little.

    Raises:
        ValueError, TypeError: for fewer than two models, codes of different N, or masks of another shape.

    Source: Duan et al., 2020, arXiv 1905.12614, with Spearman's correlation (UDR_S).

    Example:
        >>> factors = np.indices((4, 4)).reshape(2, 16).T
        >>> unsupervised_ranking([factors, -factors[:, ::-1]]).round(4).tolist()
        [1.0, 1.0]
    """
    if not isinstance(codes, list | tuple) or len(codes) < 2:
        raise ValueError("codes has fewer than two models, expected a list of codes, one [N, Z] for each seed.")
    tables = [check_codes(z, f"codes[{i}]") for i, z in enumerate(codes)]
    masks = [varying(z) for z in codes] if informative is None else [np.asarray(mask) for mask in informative]
    if len(masks) != len(tables):
        raise ValueError(f"informative has {len(masks)} masks for {len(tables)} models, expected one for each.")
    for i, (z, mask) in enumerate(zip(tables, masks, strict=True)):
        if mask.shape != z.shape[1:] or mask.dtype != np.bool_:
            raise ValueError(f"informative[{i}] has shape {mask.shape}, expected {z.shape[1]} booleans, one a latent.")
    scores = np.full((len(tables), len(tables)), np.nan)
    for i, a in enumerate(tables):
        for j in range(i):
            agreement = similarity(a, tables[j])[masks[i]][:, masks[j]]
            scores[i, j] = scores[j, i] = pair_score(agreement)
    return np.nanmedian(scores, axis=1)
