"""All scores of samples at once, each a number that cannot be printed without its setting."""

from collections.abc import Sequence

import numpy as np

from jaxvae.checks import as_seed
from jaxvae.evaluation.measured import Measured, SampleSetting
from jaxvae.evaluation.samples.features import Features
from jaxvae.evaluation.samples.frechet import frechet_estimate
from jaxvae.evaluation.samples.inception import inception_score
from jaxvae.evaluation.samples.kernel import kernel_distance
from jaxvae.evaluation.samples.manifolds import density_coverage, precision_recall
from jaxvae.evaluation.samples.variety import class_variety
from jaxvae.evaluation.statistics import Estimate, Jackknife

BLOCKS = 10


def sample_scores(
    generated: np.ndarray,
    reference: np.ndarray,
    features: Features,
    *,
    names: Sequence[str] = ("samples", "data"),
    seed: int,
) -> list[Measured]:
    """Recall, coverage, precision, density, Frechet and kernel distance; where there are classes, their variety too.

    Recall and coverage come first: a generator that draws one good picture has the best precision and density.

    Args:
        generated: [N, H, W, C] images on [0, 1], from `model.to_unit(draw(...))`.
        reference: [M, H, W, C] images of data that no model was trained on.
        features: what to look at, see `pixel_features`, `pca_features` and `classifier_features`.
        names: what both are, for the setting.
        seed: that the images were drawn with, for the setting.

    Returns:
        Scores with standard errors; where the features have probabilities, `class_variety` and the Inception Score,
        which looks at the generated images alone, last. `collapse_in_words` reads them.

    Raises:
        ValueError, TypeError: for images of another shape or scale, fewer than 20 of either, or features that are not
            [N, F] finite numbers.

    Example:
        >>> from jaxvae.evaluation.samples.features import pixel_features
        >>> x, y = np.random.default_rng(0).uniform(size=(2, 40, 4, 4, 1))
        >>> [score.name for score in sample_scores(x, y, pixel_features(), seed=0)]
        ['recall', 'coverage', 'precision', 'density', 'Frechet distance', 'kernel distance']
    """
    for name, images in (("generated", generated), ("reference", reference)):
        if len(images) < 2 * BLOCKS:
            raise ValueError(f"{name} has {len(images)} images, expected at least {2 * BLOCKS} for a standard error.")
    looked_at = features.name + (f" ({features.note})" if features.note else "")
    seed = as_seed("seed", seed)
    setting = SampleSetting(looked_at, names[0], len(generated), names[1], len(reference), seed)
    x, y = features.vectors(generated), features.vectors(reference)
    frechet, kernel = frechet_estimate(x, y, blocks=BLOCKS), kernel_distance(x, y, blocks=BLOCKS)

    def score(name: str, found: Estimate | Jackknife, better: str = "higher", bias: float = 0.0) -> Measured:
        estimate = Estimate(found.value, found.standard_error, len(x)) if isinstance(found, Jackknife) else found
        return Measured(name, estimate, "", setting, better, bias)

    scores = [
        *manifold_scores(x, y, setting),
        score("Frechet distance", frechet, "lower", frechet.bias),
        score("kernel distance", kernel, "lower"),
    ]
    if features.probabilities is not None:
        drawn = features.probabilities(generated)
        scores += [
            score("class variety", class_variety(drawn, features.probabilities(reference)), "near 1"),
            score("Inception Score", inception_score(drawn, splits=BLOCKS)),
        ]
    return scores


def manifold_scores(x: np.ndarray, y: np.ndarray, setting: SampleSetting) -> list[Measured]:
    """Recall, coverage, precision and density, the quick ones of `sample_scores`.

    Args:
        x: [N, F] features of samples. y: [M, F] of data.
        setting: what is said with them.

    Example:
        >>> line = np.arange(10.0)[:, None]
        >>> [score.number for score in manifold_scores(line, line, SampleSetting("a line", "it", 10, "it", 10, 0))][:2]
        ['1.00 ± 0.09', '1.00 ± 0.09']
    """
    improved, dense = precision_recall(x, y), density_coverage(x, y)
    return [
        Measured("recall", improved.diversity, "", setting, "higher"),
        Measured("coverage", dense.diversity, "", setting, "higher"),
        Measured("precision", improved.fidelity, "", setting, "higher"),
        Measured("density", dense.fidelity, "", setting, "near 1"),
    ]
