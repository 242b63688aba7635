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
    """Frechet and kernel distance, precision and recall, density and coverage, and the Inception Score if it can be.

    Args:
        generated: [N, H, W, C] images on [0, 1], from `model.to_unit(draw(...))`.
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
    setting = SampleSetting(looked_at, names[0], len(generated), names[1], len(reference), seed)
    x, y = features.vectors(generated), features.vectors(reference)
    frechet, kernel = frechet_estimate(x, y, blocks=BLOCKS), kernel_distance(x, y, blocks=BLOCKS)
    improved, dense = precision_recall(x, y), density_coverage(x, y)

    def distance(name: str, found: Jackknife, bias: float = 0.0) -> Measured:
        return Measured(name, Estimate(found.value, found.standard_error, len(x)), "", setting, "lower", bias)

    scores = [distance("Frechet distance", frechet, frechet.bias), distance("kernel distance", kernel)]
    shares = {"precision": improved.fidelity, "recall": improved.diversity}
    shares |= {"density": dense.fidelity, "coverage": dense.diversity}
    if features.probabilities is not None:
        shares["Inception Score"] = inception_score(features.probabilities(generated), splits=BLOCKS)
    for name, found in shares.items():
        scores.append(Measured(name, found, "", setting, "near 1" if name == "density" else "higher"))
    return scores
