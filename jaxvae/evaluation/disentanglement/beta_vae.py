"""beta-VAE score: a linear classifier tells which factor two examples share, from how their codes differ."""

import numpy as np

from jaxvae.checks import as_seed, positive_integer
from jaxvae.evaluation.disentanglement.tables import check_tables, rows_sharing

Array = np.ndarray


def beta_vae_score(
    codes: Array, factors: Array, *, pairs: int = 64, train: int = 2000, test: int = 1000, seed: int = 0
) -> float:
    r"""Accuracy of a linear classifier of the shared factor k from |z_1 - z_2|, averaged over pairs that share it.

    d = 1/L sum_l |z_1l - z_2l|;  score = P(softmax regression of d says k), on points it was not fitted to

    Each of the L pairs of a point shares a value of k of its own, drawn afresh.

    A perfect code scores 1, noise 1/F. It is lenient: a rotated code often scores high, since the classifier may weigh
    several latents together. The differences are brought to unit variance, so the scale of a latent does not count.

    Args:
        codes: [N, Z].
        factors: [N, F], F at least 2.
        pairs: L, pairs of examples in one point.
        train, test: points to fit the classifier to, and to measure it on; each of a factor drawn at random.
        seed: of the draws.

    Raises:
        ValueError, TypeError: for impossible tables, see `check_tables`, a single factor, or counts below 1.

    Source: Higgins et al., 2017, beta-VAE; the classifier is fitted to convergence, as later code does.

    Example:
        >>> factors = np.indices((4, 4)).reshape(2, 16).T
        >>> beta_vae_score(factors, factors, train=100, test=100)
        1.0
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    tables = check_tables(codes, factors)
    count = len(tables.counts)
    if count < 2:
        raise ValueError("factors has one column, expected at least two: the score asks which of them is shared.")
    pairs, train = positive_integer("pairs", pairs), positive_integer("train", train)
    sizes = (train, positive_integer("test", test))
    used = tables.varies
    if not used.any():
        return 1.0 / count
    z = tables.codes[:, used]
    rng = np.random.default_rng(as_seed("seed", seed))
    points = []
    for size in sizes:
        shared = np.sort(rng.permutation(np.arange(size) % count))
        rows = np.concatenate(
            [rows_sharing(rng, tables.levels[:, k], int((shared == k).sum()) * pairs, 2) for k in range(count)]
        ).reshape(size, pairs, 2)
        points.append((np.abs(z[rows[..., 0]] - z[rows[..., 1]]).mean(1), shared))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=10.0, max_iter=2000))
    return float(classifier.fit(*points[0]).score(*points[1]))
