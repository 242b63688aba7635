"""Whether draws are of many kinds: which classes they have, and words for draws that have collapsed to a few."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxvae.evaluation.statistics import Estimate, jackknife, share_error

if TYPE_CHECKING:
    from jaxvae.evaluation.measured import Measured

LITTLE, MUCH, FEW = 0.1, 0.5, 0.5  # of the data that is reached; of fidelity; of the classes of the data
LEAST = 0.04  # of the draws, for a class that they are said to have


class ClassShares(NamedTuple):
    """What `class_shares` finds.

    Attributes:
        shares: of each of the C classes, between 0 and 1, with the standard error of fresh draws.
        least: from which share on a class is said to be there.
    """

    shares: tuple[Estimate, ...]
    least: float

    @property
    def present(self) -> int:
        """How many classes have `least` or more."""
        return sum(share.mean >= self.least for share in self.shares)

    def in_words(self, names: Sequence[str] = ()) -> str:
        """How many classes are there, and which is the rarest and the commonest; `names` are those of the classes.

        Example:
            >>> print(class_shares(np.eye(3)[[0, 0, 0, 1]]).in_words(("cat", "dog", "owl")))
            2 of 3 classes at 4 % or more; rarest owl 0.0 ± 15.3 %, commonest cat 75.0 ± 17.1 %
        """
        ends = [pick(self.shares, key=lambda share: share.mean) for pick in (min, max)]
        said = [f"{names[at] if names else at} {self.shares[at].percent()} %" for at in map(self.shares.index, ends)]
        whole = f"{self.present} of {len(self.shares)} classes at {100 * self.least:g} % or more"
        return f"{whole}; rarest {said[0]}, commonest {said[1]}"


def class_shares(drawn: np.ndarray, *, least: float = LEAST) -> ClassShares:
    """The share of each class among draws, each in the class that a classifier thinks likeliest.

    A classifier that errs puts some draws of a class that is there into one that is not: its held-out accuracy belongs
    to the shares.

    Args:
        drawn: [N, C] p(y | x) of a classifier at N draws.
        least: the share from which on a class is said to be there, between 0 and 1.

    Raises:
        ValueError: for another shape than [N, C], or a `least` that is no share.

    Source: the standard errors, Agresti and Coull, 1998, doi 10.1080/00031305.1998.10480550.

    Example:
        >>> found = class_shares(np.eye(4)[np.arange(90) % 3])
        >>> found.present, [round(share.mean, 3) for share in found.shares]
        (3, [0.333, 0.333, 0.333, 0.0])
    """
    drawn = np.asarray(drawn)
    if drawn.ndim != 2 or 0 in drawn.shape:
        raise ValueError(f"probabilities have shape {drawn.shape}, expected [N, C], a row for each draw.")
    if not 0 < least < 1:
        raise ValueError(f"least is {least}, expected a share between 0 and 1, such as {LEAST}.")
    count, classes = drawn.shape
    times = np.bincount(drawn.argmax(1), minlength=classes)
    errors = share_error(times, count)
    shares = (Estimate(float(n / count), float(e), count) for n, e in zip(times, errors, strict=True))
    return ClassShares(tuple(shares), least)


def class_variety(drawn: np.ndarray, data: np.ndarray, *, blocks: int = 10) -> Estimate:
    r"""How many classes the draws have, as a share of those of the data: exp H(draws) / exp H(data).

    H is the entropy of the shares of the classes, each example in its likeliest; exp H is C for C classes alike often.
    1 where draws come in the data's classes, 1 / C where all are of one; above 1 where the data favour some classes.

    Args:
        drawn: [N, C] p(y | x) of a classifier at draws. data: [M, C] of data.
        blocks: of the jackknife that gives the standard error.

    Raises:
        ValueError: for another shape than [N, C] and [M, C], or fewer than two examples a block.

    Source: the exponential of an entropy as a number of kinds is Hill's, 1973, Ecology 54, of order 1.

    Example:
        >>> data, drawn = np.eye(4)[np.arange(80) % 4], np.eye(4)[np.zeros(80, int)]
        >>> class_variety(drawn, data).mean
        0.25
    """
    drawn, data = np.asarray(drawn), np.asarray(data)
    if drawn.ndim != 2 or data.ndim != 2 or drawn.shape[1] != data.shape[1]:
        raise ValueError(f"probabilities have shapes {drawn.shape} and {data.shape}, expected [N, C] and [M, C].")
    classes = drawn.shape[1]

    def kinds(labels: np.ndarray) -> float:
        shares = np.bincount(labels, minlength=classes) / len(labels)
        return float(np.exp(-np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)))))

    found = jackknife(lambda a, b: kinds(a) / kinds(b), drawn.argmax(1), data.argmax(1), blocks=blocks)
    return Estimate(found.value, found.standard_error, len(drawn))


def collapse_in_words(scores: Sequence["Measured"]) -> str:
    """What the scores of one set of draws say of a collapse, in a sentence; "" where they say nothing of one.

    Recall or coverage below 0.1 is next to nothing of the data, however well precision and density speak of what is
    there; draws of less than half as many classes as the data have are few of them.

    Args:
        scores: those of `sample_scores`, in any order; those that are missing say nothing.

    Example:
        >>> from jaxvae.evaluation.measured import Measured
        >>> found = {"recall": 0.0, "coverage": 0.004, "precision": 1.0, "density": 1.6}
        >>> print(collapse_in_words([Measured(n, Estimate(v, 0.01, 100), "", "") for n, v in found.items()]))
        collapsed to a few pictures: recall 0.00 and coverage 0.00, whatever precision 1.00 and density 1.60 say
    """
    value = {score.name: score.estimate.mean for score in scores}

    def said(names: Sequence[str]) -> str:
        return " and ".join(f"{name} {value[name]:.2f}" for name in names if name in value)

    words = []
    if any(value.get(name, 1.0) < LITTLE for name in ("recall", "coverage")):
        reached = said(("recall", "coverage"))
        if any(value.get(name, 0.0) > MUCH for name in ("precision", "density")):
            words.append(f"collapsed to a few pictures: {reached}, whatever {said(('precision', 'density'))} say")
        else:
            words.append(f"next to nothing of the data is near a draw: {reached}")
    if (variety := value.get("class variety", 1.0)) < FEW:
        words.append(f"few classes hold nearly all draws: as many as {100 * variety:.0f} % of those of the data")
    return "; ".join(words)
