"""Classifies test images by Bayes' rule with a model of each class, and rejects what no class explains.

    python -m experiments.train digits --model.kind class_pixel_cnn --epochs 60 --optim.lr 3e-3 --workdir runs/class
    python -m experiments.generative_classifier runs/class

Time: 2 minutes on two busy cores, and half a minute. Expected: most digits right, and log p(x) tells noise and digits
with shuffled pixels from digits, where the classifier that only compares classes is often sure of one.
Obtained: 98.3 +- 0.7 % right; AUROC of -log p(x) for shuffled pixels, upside-down digits and pixels at random 1.000,
0.772 and 1.000, of 1 - p(y | x) 0.737, 0.855 and 0.741. Given the class, -log p is 152.2 +- 1.3 nats.
"""

from dataclasses import dataclass
from typing import Any

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch


@dataclass(frozen=True)
class GenerativeClassifierOptions:
    """Accuracy of the most likely class, and how well log p(x) rejects images of no class."""

    run: RunFolder
    images: int = 300  # Test images, picked by a fixed permutation.
    samples: int = 50  # Posterior samples of a bound, of a model with latents; an exact density takes none.
    seed: int = 0  # Of the images of no class, and of those samples.
    output: str | None = None  # Folder for results.json, .csv and .tex; default RUN/measured/generative-classifier.
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: GenerativeClassifierOptions) -> None:
    """Prints the two tables, which are also written beside the run."""
    import jax
    import numpy as np

    import jaxvae
    from jaxvae.checks import positive_integer
    from jaxvae.evaluation.anomaly import auroc_interval
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.probes import generative_classifier
    from jaxvae.evaluation.statistics import Estimate
    from jaxvae.evaluation.written import written
    from jaxvae.runs.held_out import load_held_out

    count = positive_integer("images", options.images, 2)
    model, params, config = jaxvae.load(options.run, recipe=options.recipe, allow_changes=options.allow_changes)
    if model.context is None or model.context.classes is None:
        raise ValueError(
            f"{options.run} is of a model that is told no class, expected one that is, such as --model.kind "
            f"class_pixel_cnn. Try python -m experiments.downstream {options.run}"
        )
    test = load_held_out(config.data, allow_changes=options.allow_changes).some(count)

    def classified(x: np.ndarray) -> Any:
        return generative_classifier(model, params, jax.random.key(options.seed), x, samples=options.samples)

    known = classified(test.x)
    right = known.predictions == test.labels
    error = float(np.sqrt(right.mean() * (1 - right.mean()) / len(right)))
    title = f"{options.run}: {len(right)} test {test.noun}s, {test.protocol}, log p(x, y) {known.evidence}"
    accuracy = Estimate(100 * float(right.mean()), 100 * error, len(right))
    print_table(title, ("classifier", "right, %"), [("the class of the largest p(y | x)", accuracy)])
    rows = []
    for name, x in strangers(test.x, options.seed).items():
        found = classified(x)
        areas = (
            auroc_interval(-known.log_p, -found.log_p),
            auroc_interval(-known.log_posterior.max(1), -found.log_posterior.max(1)),
        )
        cells = (written(f"{a:.3f} [{low:.3f}, {high:.3f}]", a, low=low, high=high) for a, low, high in areas)
        rows.append((name, *cells))
    print_table(f"{options.run}: what no class explains", ("images", "AUROC of -log p(x)", "of 1 - p(y | x)"), rows)


def strangers(x: Any, seed: int) -> dict[str, Any]:
    """Images of no class, of pixels that occur: shuffled alike within every image, upside down, drawn at random."""
    import numpy as np

    rng = np.random.default_rng(seed)
    pixels = x.reshape(len(x), -1)
    shuffled = pixels[:, rng.permutation(pixels.shape[1])].reshape(x.shape)
    noise = rng.choice(pixels.ravel(), x.shape).astype(x.dtype)
    return {"pixels shuffled": shuffled, "upside down": x[:, ::-1].copy(), "pixels at random": noise}


if __name__ == "__main__":
    launch(main, parser(GenerativeClassifierOptions))
