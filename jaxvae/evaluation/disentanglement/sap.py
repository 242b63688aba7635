"""Separated attribute predictability: how much better one latent alone predicts a factor than the next."""

from collections.abc import Sequence

import numpy as np

from jaxvae.evaluation.disentanglement.information import equal_mass_bins
from jaxvae.evaluation.disentanglement.tables import check_tables

Array = np.ndarray
CUTS = 200  # places where a threshold may lie


def balanced_accuracy(column: Array, classes: Array) -> float:
    r"""The best mean accuracy over C classes of a rule that cuts a line into at most C intervals, one class each.

    Exact, by dynamic programming over the sorted values (200 bins of equal mass where there are more).

    Args:
        column: [N] numbers.
        classes: int64 [N], 0 to C - 1.

    Returns:
        From 1/C, what a guess reaches, to 1.

    Example:
        >>> balanced_accuracy(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 0, 1]))
        1.0
    """
    bins = equal_mass_bins(column, CUTS)
    count = int(classes.max()) + 1
    weights = np.zeros((int(bins.max()) + 1, count))
    np.add.at(weights, (bins, classes), 1 / np.bincount(classes)[classes])
    best = np.full((count, count), -np.inf)  # [intervals begun - 1, class of the last one]
    best[0] = 0.0
    for gain in weights:
        begun = np.concatenate([np.full((1, count), -np.inf), np.repeat(best[:-1].max(1, keepdims=True), count, 1)])
        best = np.maximum(best, begun) + gain
    return float(best.max() / count)


def predictability_matrix(codes: Array, factors: Array, categorical: Sequence[int] = ()) -> Array:
    r"""How well each latent alone predicts each factor, [Z, F], in [0, 1].

    R^2 = Cov(z_j, v_k)^2 / (Var z_j Var v_k) for a factor that is a number, `balanced_accuracy` for a categorical one.

    Args:
        codes: [N, Z].
        factors: [N, F]; the numbers of those not categorical count as they are.
        categorical: the columns of factors that are classes, whose numbers mean nothing.

    Raises:
        ValueError, TypeError: for impossible tables, see `check_tables`, or columns that do not exist.

    Source: Kumar et al., 2018, arXiv 1711.00848, section 3. Code that fits a classifier to every factor measures
        something else for those that are numbers.

    Example:
        >>> factors = np.indices((2, 3)).reshape(2, 6).T
        >>> predictability_matrix(factors, factors, categorical=[0]).round(4).tolist()
        [[1.0, 0.0], [0.5, 1.0]]
    """
    tables = check_tables(codes, factors)
    columns = len(tables.counts)
    for column in categorical:
        if isinstance(column, bool) or not isinstance(column, int | np.integer) or not 0 <= column < columns:
            raise ValueError(f"categorical is {tuple(categorical)}, expected columns of factors, 0 to {columns - 1}.")
    used = tables.varies
    z, v = (table - table.mean(0) for table in (tables.codes, tables.values))
    spread = np.where(used, np.sqrt(np.square(z).mean(0)), 1.0)
    correlation = (z / spread).T @ (v / np.sqrt(np.square(v).mean(0))) / len(z)
    found = np.where(used[:, None], np.square(correlation), 0.0)
    for factor in categorical:
        found[:, factor] = [balanced_accuracy(column, tables.levels[:, factor]) for column in tables.codes.T]
    return np.clip(found, 0.0, 1.0)


def separated_predictability(codes: Array, factors: Array, categorical: Sequence[int] = ()) -> float:
    r"""SAP: the mean over factors of the best minus the second best entry of the `predictability_matrix`.

    Where all factors are numbers a perfect code scores 1. A factor of C classes adds at most 1 - 1/C, since the second
    latent guesses right in 1/C: 2/3 for three shapes. Linear: a latent that bends with a number is marked down.

    Args:
        codes: [N, Z]; where Z is 1 the second latent is a constant.
        factors: [N, F].
        categorical: the columns of factors that are classes.

    Source: Kumar et al., 2018, arXiv 1711.00848.

    Example:
        >>> factors = np.indices((4, 4)).reshape(2, 16).T
        >>> round(separated_predictability(-factors, factors), 6)
        1.0
    """
    matrix = predictability_matrix(codes, factors, categorical)
    floor = [1 / len(np.unique(v)) if k in categorical else 0.0 for k, v in enumerate(np.asarray(factors).T)]
    ranked = np.sort(np.concatenate([np.array([floor]), matrix]), axis=0)
    return float(np.mean(ranked[-1] - ranked[-2]))
