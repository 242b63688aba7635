"""All scores of samples at once, each a number that cannot be printed without its setting."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxvae.checks import as_seed
from jaxvae.evaluation.bounds.likelihood import Estimate
from jaxvae.evaluation.samples.features import Features
from jaxvae.evaluation.samples.frechet import frechet_estimate
from jaxvae.evaluation.samples.inception import inception_score
from jaxvae.evaluation.samples.kernel import kernel_distance
from jaxvae.evaluation.samples.manifolds import density_coverage, precision_recall

BLOCKS = 10


class ScoreSetting(NamedTuple):
    """Under which circumstances samples were scored.

    Attributes:
        features: the name of the feature net, and its held-out accuracy where it is a classifier.
        generated: what was judged, as "prior samples of runs/a"; samples: how many.
        reference: against what, as "digits/test"; references: how many.
        seed: of the samples.
    """

    features: str
    generated: str
    samples: int
    reference: str
    references: int
    seed: int

    def __str__(self) -> str:
        return (
            f"{self.samples} {self.generated} against {self.references} of {self.reference}, features {self.features}, "
            f"seed {self.seed}"
        )


class Score(NamedTuple):
    """One score with its standard error, which way is better, and its setting; printed, it says all of them.

    Attributes:
        name: such as "Frechet distance".
        value: as it is reported elsewhere, bias and all; standard_error: of it.
        better: "lower", "higher", or "near 1".
        setting: what was compared with what.
        bias: the estimated part of the value that more samples would take away; 0 where there is none or it is unknown.

    Example:
        >>> setting = ScoreSetting("pixels", "draws", 500, "digits", 297, 0)
        >>> print(Score("Frechet distance", 1.25, 0.06, "lower", setting, 0.31))
        Frechet distance 1.25 +- 0.06, of which bias 0.31 (500 draws against 297 of digits, features pixels, seed 0)
    """

    name: str
    value: float
    standard_error: float
    better: str
    setting: ScoreSetting
    bias: float = 0.0

    def __str__(self) -> str:
        bias = f", of which bias {significant(self.bias, self.standard_error)}" if self.bias else ""
        return f"{self.name} {self.number}{bias} ({self.setting})"

    def __repr__(self) -> str:
        return str(self)

    @property
    def number(self) -> str:
        """Value and standard error, for a table that states the setting once."""
        error = (
            f" +- {significant(self.standard_error, self.standard_error)}" if np.isfinite(self.standard_error) else ""
        )
        return f"{significant(self.value, self.standard_error)}{error}"


def significant(value: float, error: float) -> str:
    """The value with as many decimals as show one or two digits of its error.

    Example:
        >>> significant(12.3456, 0.04), significant(12.3456, 30.0), significant(0.5, 0.0)
        ('12.35', '12', '0.500')
    """
    if not (np.isfinite(error) and error > 0):
        return f"{value:.3f}"
    return f"{value:.{int(np.clip(np.ceil(-np.log10(error / 3)), 0, 9))}f}"


def sample_scores(
    generated: np.ndarray,
    reference: np.ndarray,
    features: Features,
    *,
    names: Sequence[str] = ("samples", "data"),
    seed: int,
) -> list[Score]:
    """Frechet and kernel distance, precision and recall, density and coverage, and the Inception Score if it can be.

    Args:
        generated: [N, H, W, C] images on [0, 1], from `model.to_unit(prior_samples(...))`.
        reference: [M, H, W, C] images of data that no model was trained on.
        features: what to look at, see `pixel_features`, `pca_features` and `classifier_features`.
        names: what both are, for the setting.
        seed: that the images were drawn with, for the setting.

    Returns:
        Scores with standard errors; the Inception Score of the generated images alone, last.

    Raises:
        ValueError, TypeError: for images of another shape or scale, fewer than 20 of either, or features that are not
            [N, F] finite numbers.

    Example:
        >>> from jaxvae.evaluation.samples.features import pixel_features
        >>> x, y = np.random.default_rng(0).uniform(size=(2, 40, 4, 4, 1))
        >>> [score.name for score in sample_scores(x, y, pixel_features(), seed=0)]
        ['Frechet distance', 'kernel distance', 'precision', 'recall', 'density', 'coverage']
    """
    for name, images in (("generated", generated), ("reference", reference)):
        if len(images) < 2 * BLOCKS:
            raise ValueError(f"{name} has {len(images)} images, expected at least {2 * BLOCKS} for a standard error.")
    looked_at = features.name + (f" ({features.note})" if features.note else "")
    seed = as_seed("seed", seed)
    setting = ScoreSetting(looked_at, names[0], len(generated), names[1], len(reference), seed)
    x, y = features.vectors(generated), features.vectors(reference)
    frechet, kernel = frechet_estimate(x, y, blocks=BLOCKS), kernel_distance(x, y, blocks=BLOCKS)
    improved, dense = precision_recall(x, y), density_coverage(x, y)

    def of(name: str, found: Estimate, better: str = "higher") -> Score:
        return Score(name, found.mean, found.standard_error, better, setting)

    scores = [
        Score("Frechet distance", frechet.value, frechet.standard_error, "lower", setting, frechet.bias),
        Score("kernel distance", kernel.value, kernel.standard_error, "lower", setting),
        of("precision", improved.fidelity),
        of("recall", improved.diversity),
        of("density", dense.fidelity, "near 1"),
        of("coverage", dense.diversity),
    ]
    if features.probabilities is not None:
        scores.append(of("Inception Score", inception_score(features.probabilities(generated), splits=BLOCKS)))
    return scores
