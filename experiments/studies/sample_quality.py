"""Scores a run's samples: recall, coverage, precision, density, distances, Inception Score; classes; copies.

    python -m experiments.sample_quality runs/digits
    python -m experiments.sample_quality runs/mnist --features classifier pca
    python -m experiments.sample_quality runs/b --features runs/a/sample_quality.npz my_file.py:inception

Time: about 15 s on two cores for the digits. Expected: training images nearest to the test images, then their
reconstructions, then draws of the prior. Obtained for the digits preset (300 epochs), Frechet distance: 2.1 +- 1.6,
3.5 +- 1.0, 36 +- 4 for draws of x and 42 +- 4 for its means, by a classifier of 99.0 +- 0.6 % accuracy; Inception Score
8.8, 8.6, 5.9 and 5.7.

A classifier also says which classes the draws have, each with its share, how many have 4 % or more, and, of a model
that was told the class, how often it reads that one. What a GAN draws is a mean, so that there is one column of it.

For the mnist preset (50 s of processor time), against the first 2,000 test images, by a classifier of 96.5 +- 0.2 %
accuracy: Frechet distance 4.9 +- 1.3, 6.5 +- 1.4, 82 +- 6 and 95 +- 6; coverage 0.95, 0.97, 0.55 and 0.58 (+- 0.01);
Inception Score 8.7, 8.7, 5.0 and 4.9.
By 64 principal components the Frechet distance is 0.69, 1.66, 3.15 and 4.61: scores of different features are different
scores.

For the toon-faces preset, 600 samples against 600 test images by 64 principal components (114 s of processor time,
--features pca): coverage 0.967, 0.982, 0.952 and 0.955 (+- 0.009), Frechet distance 2.4 +- 0.7, 3.5 +- 0.7, 4.1 +- 1.0
and 4.0 +- 1.1. No copies: 0.917 +- 0.011 of the draws lie nearer to one of 9,000 training images than to any of 1,000
test images, of which chance makes 0.900 +- 0.013.

Small numbers of test images bias the Frechet distance upwards, by some 6 here: it compares columns of one table only.
"""

from dataclasses import dataclass
from typing import Any

from jaxvae.commands.cli import RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Numbers, output_path


@dataclass(frozen=True)
class SampleOptions:
    """A table of all scores of a run's samples beside those of real images, which are as good as samples can be."""

    run: RunFolder
    samples: int = 2000  # Images of each kind, at most as many as the training data has.
    references: int = 2000  # Test images that they are compared with, at most as many as there are.
    features: tuple[str, ...] = ("classifier",)
    """What the scores look at, a table for each: classifier (trained here and kept beside the numbers, to judge other
    runs), pca, pixels, a file of a network's weights (.npz), or FILE.py:FUNCTION of images [N, H, W, C] on [0, 1]."""
    seed: int = 0  # Of the samples and of the classifier.
    output: Numbers = None  # A .json file; the picture lies beside it. By default in the run folder.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: SampleOptions) -> None:
    """Prints the tables, writes the numbers and a picture."""
    from pathlib import Path

    import numpy as np

    import jaxvae
    from experiments.tables.class_table import print_classes
    from experiments.tables.copying import nearest_pictures, print_copying
    from experiments.tables.score_table import make_features, print_scores, write_scores
    from jaxvae.checks import positive_integer
    from jaxvae.commands.parts.requirements import need_images
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.latents import generation
    from jaxvae.evaluation.samples.scores import sample_scores
    from jaxvae.evaluation.samples.variety import collapse_in_words
    from jaxvae.files import folder_name
    from jaxvae.models.meaning import draws_through_latents

    if not options.features:
        raise ValueError("features is empty, expected at least one of classifier, pca, pixels.")
    model, params, config = jaxvae.load(options.run, allow_changes=options.allow_changes)
    need_images(options.run, config, "sample")
    train, test = held_out(config, options.allow_changes)
    count = min(positive_integer("samples", options.samples, 20), len(train.x))
    reference = test.some(positive_integer("references", options.references, 20)).x
    path = output_path(options.output, Path(options.run) / "sample_quality.json")
    if path.suffix != ".json":
        raise ValueError(f"output is {str(path)!r}, expected a name that ends in .json.")

    def unit(x: Any) -> np.ndarray:
        return np.clip(np.asarray(model.to_unit(x), np.float32), 0, 1)

    chosen = train.take(np.random.default_rng(options.seed).choice(len(train.x), count, replace=False))
    drawn, asked = draws(options, model, params, count)
    rows = {"training images": unit(chosen.x)}
    if model.posterior.support != "none" and draws_through_latents(model):
        rows["their reconstructions"] = unit(generation.reconstructions(model, params, chosen.given(model)))
    rows |= {name: unit(x) for name, x in drawn.items()}
    tables: dict[str, Any] = {}
    found: dict[str, Any] = {"copying": {}, "classes": {}, "collapse": {}}
    for name in options.features:
        pair = (unit(train.x), train.labels), (unit(test.x), test.labels)
        keep = path.with_suffix(".npz")
        features = make_features(name, config.data.name, *pair, options.seed, keep)
        names = f"{config.data.name}/{config.data.test_split}"
        tables[name] = {
            label: sample_scores(images, unit(reference), features, names=(label, names), seed=options.seed)
            for label, images in rows.items()
        }
        print_scores(tables[name], f"{options.run} ({config.data.protocol})")
        found["collapse"][name] = {label: collapse_in_words(scores) for label, scores in tables[name].items()}
        shown, told = {"test images": unit(reference), **rows}, dict.fromkeys(drawn, asked) if asked is not None else {}
        found["classes"][name] = print_classes(shown, features, test.class_names, told)
        judged = {label: images for label, images in rows.items() if label != "training images"}
        found["copying"][name] = print_copying(judged, pair[0][0], pair[1][0], features)
    about = {"run": folder_name(options.run), "protocol": config.data.protocol, "sha256": test.sha256}
    write_scores(path, tables, **about, **found)
    covered = {
        label: next(score.number for score in scores if score.name == "coverage")
        for label, scores in next(iter(tables.values())).items()
    }
    pictures = {"test images": unit(reference)[:14]}
    pictures |= {f"{label}, {covered[label]}": images[:14] for label, images in rows.items()}
    title = f"Coverage of the test images: {Path(options.features[0]).name} features, {count} samples"
    print(plots.save(plots.compare(pictures, 14, title=title)[0], path.with_suffix(".png")))
    figure = nearest_pictures(rows[next(reversed(drawn))], unit(train.x), features)
    print(plots.save(figure, path.with_name(f"{path.stem}_nearest.png")))


def draws(options: SampleOptions, model: Any, params: Any, count: int) -> tuple[dict[str, Any], Any]:
    """Draws of x and their means, where they are not the same, and the classes that a model was told for them, or None.

    Raises:
        ValueError: for a model without a prior, naming a command that does work.
    """
    import jax

    from jaxvae.commands.parts.requirements import need_prior
    from jaxvae.evaluation.latents import generation
    from jaxvae.evaluation.latents.decoding import contexts_in_turn
    from jaxvae.models.meaning import draws_through_latents

    if model.draw is None:
        need_prior(options.run, model, "there is nothing to draw codes from")
    key, asked = jax.random.key(options.seed), contexts_in_turn(model, count)
    through = draws_through_latents(model)
    found = {}
    if not (through and model.posterior.support == "none"):  # what a generator without an encoder draws is a mean
        found["prior draws of x"] = generation.draw(model, params, key, count, context=asked)
    if through:
        found["prior means of x"] = generation.prior_means(model, params, key, count, context=asked)
    return found, asked


def held_out(config: Any, allow_changes: bool = False) -> tuple[Any, Any]:
    """Training and test images of a run, each one fixed draw of x as the model sees it.

    Raises:
        ValueError: for a model that needs labels to draw.
    """

    from jaxvae.runs.held_out import load_held_out

    splits = (config.data.train_split, config.data.test_split)
    train, test = (load_held_out(config.data, split, allow_changes=allow_changes) for split in splits)
    return train, test


if __name__ == "__main__":
    launch(main, parser(SampleOptions))
