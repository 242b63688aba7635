"""Whether a run's draws are copies: the share nearer to training images as a table, the nearest ones as a picture."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxvae.evaluation.samples.features import Features

MOST = 10_000  # images of either split that are compared, by a fixed permutation


def print_copying(rows: Mapping[str, Any], training: Any, test: Any, features: "Features") -> dict[str, Any]:
    """A line for each set of samples; returns the numbers."""
    from jaxvae.data.splits import some_rows
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.samples.memorization import nearer_to_training

    seen, unseen = (features.vectors(images[some_rows(len(images), MOST)]) for images in (training, test))
    found = {name: nearer_to_training(features.vectors(images), seen, unseen) for name, images in rows.items()}
    lines = [(name, one.share.text(3), one.null.text(3), f"{one.sigmas:+.1f}") for name, one in found.items()]
    title = f"Nearer to one of {len(seen)} training images than to any of {len(unseen)} test images: {features.name}"
    print_table(title, ("samples", "share", "where dealt at random", "sigmas above"), lines)
    return {name: {"share": list(one.share), "null": list(one.null)} for name, one in found.items()}


def nearest_pictures(samples: Any, training: Any, features: "Features", count: int = 14) -> Any:
    """A figure of the samples that lie nearest to a training image, of 500, with that image, the nearest first."""
    import numpy as np

    from jaxvae.evaluation import plots
    from jaxvae.evaluation.samples.memorization import nearest

    few = samples[:500]
    found = nearest(features.vectors(few), features.vectors(training))
    first = np.argsort(found.distance, kind="stable")[:count]
    rows = {"draw": few[first], "nearest training image": training[found.which[first]]}
    title = f"The draws of {len(few)} that lie nearest to a training image, and that image"
    return plots.compare(rows, count, title=title)[0]
