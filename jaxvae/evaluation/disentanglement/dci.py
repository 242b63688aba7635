"""DCI: disentanglement, completeness and informativeness, from how much each latent matters to predict each factor."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxvae.checks import as_seed, positive_integer
from jaxvae.evaluation.disentanglement.tables import Tables, check_codes, check_tables

Array = np.ndarray
METHODS = ("forest", "lasso")


class DCI(NamedTuple):
    """What `dci_score` returns.

    Attributes:
        disentanglement: in [0, 1]; 1 where each latent matters to one factor only.
        completeness: in [0, 1]; 1 where each factor is told by one latent only.
        error: the mean over factors of the error on examples held out, 0 for a perfect prediction and about 1 where
            nothing is told (the paper's informativeness, which goes down as a code gets better).
        importance: [Z, F], each at least 0: how much latent j matters to the prediction of factor k.
    """

    disentanglement: float
    completeness: float
    error: float
    importance: Array


def dci_from_importance(importance: Array) -> tuple[float, float]:
    r"""(disentanglement, completeness) of importances R [Z, F].

    D = sum_j rho_j (1 - H_F(R_jk / sum_k R_jk)),  rho_j = sum_k R_jk / sum_jk R_jk
    C = mean_k (1 - H_Z(R_jk / sum_j R_jk))

    H_F and H_Z are entropies with logarithms to the base F and Z. A factor that no latent tells counts 0 in C. Some
    code weighs the factors of C as D does the latents; with forests, whose importances sum to 1, that is the same.

    Raises:
        ValueError, TypeError: for another shape, fewer than 2 latents or factors, or a negative importance.

    Source: Eastwood and Williams, 2018, A framework for the quantitative evaluation of disentangled representations.

    Example:
        >>> dci_from_importance(np.array([[1.0, 0.0], [0.0, 1.0]]))
        (1.0, 1.0)
        >>> dci_from_importance(np.array([[1.0, 1.0], [0.0, 0.0]]))
        (0.0, 1.0)
    """
    importance = check_codes(importance, "importance")
    if min(importance.shape) < 2 or importance.min() < 0:
        raise ValueError(
            f"importance has shape {importance.shape} and smallest value {importance.min():g}, expected at least 2 "
            f"latents and 2 factors, and no negative value: one latent or one factor has nothing to be told from."
        )
    latents, factors = (_concentration(table) for table in (importance, importance.T))
    total = importance.sum()
    if total == 0:
        return 0.0, 0.0
    return float(np.sum(importance.sum(1) / total * latents)), float(factors.mean())


def _concentration(table: Array) -> Array:
    """1 - the entropy of each row, relative to the largest possible; 0 for a row of zeros."""
    total = table.sum(1, keepdims=True)
    shares = table / np.where(total > 0, total, 1.0)
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=1) / np.log(table.shape[1])
    return np.where(total[:, 0] > 0, 1 - entropy, 0.0)


def dci_score(
    codes: Array,
    factors: Array,
    categorical: Sequence[int] = (),
    *,
    method: str = "forest",
    trees: int = 20,
    most: int = 5000,
    seed: int = 0,
) -> DCI:
    """Disentanglement, completeness and informativeness of predictors fitted to four fifths of the examples.

    Args:
        codes: [N, Z], Z at least 2.
        factors: [N, F], F at least 2.
        categorical: the columns of factors that are classes.
        method: "forest", whose importances are the share of the variance (or impurity) that splits on a latent remove;
            or "lasso", linear, whose importances are absolute weights of standardised latents, the penalty chosen by
            cross-validation; it takes no categorical factors. Codes that bend need the forest.
        trees: of a forest.
        most: examples to use, drawn at random where there are more.
        seed: of the draws and the trees.

    Returns:
        `DCI`. The error of a number is the root mean square error over the standard deviation; that of a class is the
        error rate over that of always guessing the commonest class.

    Raises:
        ValueError, TypeError: for impossible tables, see `check_tables`, fewer than 2 latents, 2 factors or 10
            examples, another method, categorical columns that do not exist, or any with "lasso".

    Source: Eastwood and Williams, 2018, https://openreview.net/forum?id=By-7dz-AZ

    Example:
        >>> factors = np.tile(np.indices((4, 4)).reshape(2, 16).T, (4, 1))
        >>> result = dci_score(factors, factors, trees=3)
        >>> round(result.disentanglement, 6), round(result.completeness, 6), round(result.error, 6)
        (1.0, 1.0, 0.0)
    """
    tables = check_tables(codes, factors)
    size, columns = tables.levels.shape
    if method not in METHODS:
        raise ValueError(f"method is {method!r}, expected 'forest' or 'lasso'.")
    if any(column not in range(columns) for column in categorical) or (categorical and method == "lasso"):
        raise ValueError(
            f"categorical is {tuple(categorical)}, expected columns of factors, 0 to {columns - 1}, or none with the "
            f"method 'lasso', which has no classes. Use method='forest'."
        )
    if min(tables.codes.shape[1], columns) < 2 or size < 10:
        raise ValueError(
            f"codes has shape {tables.codes.shape} and factors {tables.values.shape}, expected at least 2 latents, "
            f"2 factors and 10 examples."
        )
    trees, most = positive_integer("trees", trees), positive_integer("most", most, 10)
    rows = np.random.default_rng(as_seed("seed", seed)).permutation(size)[:most]
    cut = len(rows) - len(rows) // 5
    z = tables.codes - tables.codes.mean(0)
    z = z / np.where(tables.varies, z.std(0), 1.0)
    importance, errors = np.zeros((z.shape[1], columns)), np.zeros(columns)
    for factor in range(columns):
        classes = factor in categorical
        target = _target(tables, factor, classes)
        model = _predictor(method, classes, trees, seed).fit(z[rows[:cut]], target[rows[:cut]])
        weights = model.feature_importances_ if method == "forest" else np.abs(model.coef_)
        importance[:, factor] = np.maximum(weights, 0.0)  # a forest may say -1e-17
        errors[factor] = _error(model.predict(z[rows[cut:]]), target[rows[cut:]], classes)
    return DCI(*dci_from_importance(importance), float(errors.mean()), importance)


def _target(tables: Tables, factor: int, classes: bool) -> Array:
    if classes:
        return tables.levels[:, factor]
    values = tables.values[:, factor]
    return (values - values.mean()) / values.std()


def _predictor(method: str, classes: bool, trees: int, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LassoCV

    if method == "lasso":
        return LassoCV(cv=5, random_state=seed)
    kind = RandomForestClassifier if classes else RandomForestRegressor
    return kind(trees, max_features=None, random_state=seed)


def _error(predicted: Array, target: Array, classes: bool) -> float:
    if classes:
        guess = 1 - np.bincount(target).max() / len(target)
        return float(np.mean(predicted != target) / guess) if guess else 0.0
    return float(np.sqrt(np.mean(np.square(predicted - target))))
