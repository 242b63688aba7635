"""What codes are worth: linear and nearest-neighbour probes, clusters, and accuracy as labels become fewer.

scikit-learn is imported when a function is called.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxvae.checks import as_seed, finite_number, positive_integer
from jaxvae.evaluation.samples.features import check_labels
from jaxvae.evaluation.statistics import Estimate, Jackknife, as_features, jackknife, share_error, varying

Labelled = tuple[np.ndarray, np.ndarray]  # features [N, F] and integer labels [N]


def linear_probe(train: Labelled, held_out: Labelled, *, strength: float = 1.0) -> Estimate:
    """Accuracy on held-out examples of a logistic regression on features scaled to mean 0 and variance 1.

    A feature that never varies in training has no scale, and decides nothing: see `evaluation/statistics.py`.

    Args:
        train: features [N, F] and labels [N].
        held_out: features [M, F] and labels [M].
        strength: of the penalty 1/2 |W|^2 beside the sum of the N losses (scikit-learn's 1 / C).

    Returns:
        The part of held-out examples named right, with the standard error of `accuracy`.

    Raises:
        ValueError, TypeError: for impossible features, labels or strength, or labels of one class only.

    Source: Alain and Bengio, 2016, Understanding intermediate layers using linear classifier probes, arXiv 1610.01644.

    Example:
        >>> codes = np.random.default_rng(0).normal(size=(100, 2))
        >>> labels = (codes[:, 0] > 0).astype(int)
        >>> linear_probe((codes[:50], labels[:50]), (codes[50:], labels[50:])).mean > 0.9
        True
    """
    _, _, judged, truth = _checked(train, held_out)
    return accuracy(linear_predictions(train, judged, strength=strength), truth)


def linear_predictions(train: Labelled, features: np.ndarray, *, strength: float = 1.0) -> np.ndarray:
    """The labels [M] that the logistic regression of `linear_probe` gives to features [M, F].

    Raises:
        ValueError, TypeError: as `linear_probe`.

    Example:
        >>> train = np.array([[0.0], [0.1], [0.9], [1.0]]), np.array([3, 3, 7, 7])
        >>> linear_predictions(train, np.array([[0.2], [0.8]])).tolist()
        [3, 7]
    """
    x, y, judged, _ = _checked(train, (features, np.zeros(len(features), int)))
    finite_number("strength", strength, above=True)
    if len(np.unique(y)) < 2:
        raise ValueError(f"the training labels are all {y[0]}, expected at least two classes.")
    from sklearn.linear_model import LogisticRegression

    center, scale = x.mean(0), np.where(varying(train[0]), x.std(0), 1.0)
    probe = LogisticRegression(C=1 / strength, max_iter=5000).fit((x - center) / scale, y)
    return np.asarray(probe.predict((judged - center) / scale))


def knn_probe(train: Labelled, held_out: Labelled, *, neighbours: int = 5) -> Estimate:
    """Accuracy on held-out examples of the vote of the k nearest training examples; ties go to the lower label.

    Args:
        train, held_out: features and labels, as in `linear_probe`.
        neighbours: k, in Euclidean distance.

    Raises:
        ValueError, TypeError: for impossible features or labels, or fewer training examples than neighbours.

    Source: Cover and Hart, 1967, Nearest neighbor pattern classification.

    Example:
        >>> codes, labels = np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([0, 0, 1, 1])
        >>> knn_probe((codes, labels), (codes + 0.2, labels), neighbours=1).mean
        1.0
    """
    x, y, judged, truth = _checked(train, held_out)
    if positive_integer("neighbours", neighbours) > len(x):
        raise ValueError(f"neighbours is {neighbours}, expected at most {len(x)}, the number of training examples.")
    from sklearn.neighbors import KNeighborsClassifier

    return accuracy(KNeighborsClassifier(neighbours).fit(x, y).predict(judged), truth)


class Clustering(NamedTuple):
    """How well clusters found without labels agree with the classes.

    Attributes:
        nmi: normalised mutual information 2 I(c; y) / (H(c) + H(y)), 0 to 1; of few examples above 0 by chance.
        ari: adjusted Rand index, 1 for the classes themselves and 0 on average for random clusters.
        assigned: [N] the cluster of each example.
    """

    nmi: Jackknife
    ari: Jackknife
    assigned: np.ndarray


def cluster(features: np.ndarray, labels: np.ndarray, *, clusters: int | None = None, seed: int = 0) -> Clustering:
    """k-means (the best of 10 starts) on the features, and how its clusters agree with the labels.

    The standard errors leave out blocks of examples and keep the clusters; another start may move the numbers more.

    Args:
        features: [N, F]. labels: [N] integers, which k-means does not see.
        clusters: k, by default the number of classes.
        seed: of the starts.

    Raises:
        ValueError, TypeError: for impossible features or labels, or fewer than 20 examples or examples than clusters.

    Source: Strehl and Ghosh, 2002, Cluster ensembles (NMI); Hubert and Arabie, 1985, Comparing partitions (ARI).

    Example:
        >>> labels = np.arange(40) % 2
        >>> found = cluster(labels[:, None] + np.linspace(0, 0.1, 40)[:, None], labels)
        >>> found.nmi.value, found.ari.value
        (1.0, 1.0)
    """
    x = as_features("features", features, at_least=20)
    y = check_labels("labels", labels, len(x))
    clusters = len(np.unique(y)) if clusters is None else positive_integer("clusters", clusters)
    if clusters > (distinct := len(np.unique(x, axis=0))):
        raise ValueError(f"clusters is {clusters}, expected at most {distinct}, the number of different examples.")
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    found = KMeans(clusters, n_init=10, random_state=as_seed("seed", seed)).fit_predict(x)
    return Clustering(
        jackknife(normalized_mutual_info_score, y, found), jackknife(adjusted_rand_score, y, found), found
    )


class LabelCurve(NamedTuple):
    """Accuracy as labels become fewer: counts [C] and accuracies [C, S] over S draws of which examples have labels."""

    counts: np.ndarray
    accuracies: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """[C], over the draws."""
        return self.accuracies.mean(1)

    @property
    def standard_error(self) -> np.ndarray:
        """[C], of the mean over the draws, NaN for one; the error of the held-out examples is on top."""
        draws = self.accuracies.shape[1]
        return self.accuracies.std(1, ddof=1) / np.sqrt(draws) if draws > 1 else np.full(len(self.counts), np.nan)


def label_curve(
    train: Callable[[np.ndarray, int], float], labels: np.ndarray, counts: Sequence[int], *, seeds: int = 5
) -> LabelCurve:
    """Trains with few labels, several times for each count.

    Args:
        train: (rows, seed) -> held-out accuracy of what is trained with the labels of these rows [count] alone.
        labels: [N] of all training examples.
        counts: how many labels, each at least the number of classes; see `labelled_rows`.
        seeds: draws of each count.

    Raises:
        ValueError, TypeError: for counts that cannot be drawn.

    Example:
        >>> curve = label_curve(lambda rows, seed: len(rows) / 8, np.arange(10) % 2, (2, 4), seeds=2)
        >>> curve.mean.tolist()
        [0.25, 0.5]
    """
    seeds = positive_integer("seeds", seeds)
    found = [[train(labelled_rows(labels, count, seed), seed) for seed in range(seeds)] for count in counts]
    return LabelCurve(np.array(counts), np.array(found, np.float64))


def labelled_rows(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Which examples keep their label: `count` rows, as many of each class as can be (the rest at random).

    Raises:
        ValueError, TypeError: for labels that are no integers, fewer rows than classes, or more than there are.

    Example:
        >>> np.bincount(np.arange(30)[labelled_rows(np.arange(30) % 3, 6, seed=0)] % 3).tolist()
        [2, 2, 2]
    """
    y = check_labels("labels", labels, len(labels))
    classes = np.unique(y)
    if not len(classes) <= positive_integer("count", count) <= len(y):
        raise ValueError(f"count is {count}, expected {len(classes)} (one of each class) to {len(y)} (all).")
    rng = np.random.default_rng(as_seed("seed", seed))
    order = rng.permutation(len(y))
    turn = np.empty(len(y), int)  # the first of each class come first, then the second, ...
    for kind in classes:
        of_kind = np.flatnonzero(y[order] == kind)
        turn[of_kind] = np.arange(len(of_kind))
    return order[np.argsort(turn, kind="stable")][:count]


def accuracy(named: np.ndarray, truth: np.ndarray) -> Estimate:
    """The part named right, with its standard error after Agresti and Coull, which is never 0: see `share_error`.

    Example:
        >>> accuracy(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 4]))
        Estimate(mean=1.0, standard_error=0.15309310892394862, examples=4)
    """
    right = float(np.mean(named == truth))
    return Estimate(right, float(share_error(right * len(truth), len(truth))), len(truth))


def _checked(train: Labelled, held_out: Labelled) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    x, judged = as_features("training features", train[0]), as_features("held-out features", held_out[0], 1)
    if x.shape[1] != judged.shape[1]:
        raise ValueError(
            f"training features have width {x.shape[1]} and held-out ones {judged.shape[1]}, expected one."
        )
    y, truth = check_labels("labels", train[1], len(x)), check_labels("held-out labels", held_out[1], len(judged))
    return x, y, judged, truth
