r"""How well the latents of a run match the factors that made its images: eight scores, where the factors are known.

    python -m experiments.train mnist --data.name shapes --data.protocol grey --model.latent-dim 6 --epochs 20 \
        --model.hidden 128 128 --objective.beta 4 --workdir runs/shapes
    python -m experiments.disentangle runs/shapes
    python -m experiments.disentangle runs/toon-faces --categorical all

The factors are those of the data: of shapes, or the arrays factors [N, F] and factor_names [F] of your own .npz.
The codes are the posterior means of the test images. All scores go up to 1; what they ask differs, and seeds of one
setting differ more than kinds of models do (Locatello et al., 2019, arXiv 1811.12359), so that one run shows little:
`experiments.disentanglement` trains many. The picture factors.png has a row for each factor: one test image with that
factor alone changed to each of its values, by the mean codes of those who have them.

Time: half a minute on two cores for the training, 5 s for the scores. Expected: scores above 0 and well below 1, after
so few epochs. Obtained: FactorVAE 0.40, MIG 0.06, SAP 0.15, DCI disentanglement 0.15.
"""

from dataclasses import dataclass

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Index
from jaxvae.waiting import at_work

MOST = 8  # values of a factor that the picture shows, evenly spaced


@dataclass(frozen=True)
class DisentangleOptions:
    """Scores of the codes of a run's test images against the known factors of these images."""

    run: RunFolder
    data: str | None = None  # Other data with factors and images of the same shape, such as shapes; default the run's.
    split: str | None = None  # Which of their splits; by default the run's test split.
    categorical: tuple[str, ...] = ("shape",)
    """Factors that are classes, whose numbers mean nothing, by name; all: every one. An ordered factor is predicted as
    a number, a class as a class."""
    limit: int = 2000  # Only so many images, by a fixed permutation.
    image: Index = 0  # Which of these images has its factors changed in the picture.
    seed: int = 0  # Of the draws in the scores.
    output: str | None = None  # Folder for results.json, .csv, .tex and factors.png; default RUN/measured/disentangle.
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: DisentangleOptions) -> None:
    """Prints the table and saves the picture."""
    from dataclasses import replace
    from pathlib import Path

    import numpy as np

    import jaxvae
    from jaxvae.checks import positive_integer
    from jaxvae.commands.parts.output import write_images
    from jaxvae.commands.parts.requirements import need_vectors
    from jaxvae.data.splits import some_rows
    from jaxvae.evaluation import latents, plots
    from jaxvae.evaluation.disentanglement import SCORES, disentanglement_scores
    from jaxvae.evaluation.latents.codes import active_latents
    from jaxvae.evaluation.latents.decoding import decode
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.written import number
    from jaxvae.models.contexts import context_of
    from jaxvae.runs.given_data import check_given, load_split
    from jaxvae.runs.held_out import draw

    model, params, config = jaxvae.load(options.run, recipe=options.recipe, allow_changes=options.allow_changes)
    need_vectors(options.run, model, params, "there are no latents that each could be a factor")
    split, given = options.split or config.data.test_split, config.data
    if options.data is not None:
        given = replace(given, name=options.data, train_sha256=None, test_sha256=None, image_shape=None)
    dataset = load_split(given, split)
    check_given(given, dataset, split, allow_changes=options.allow_changes)
    if dataset.factors is None:
        raise ValueError(
            f"{dataset.name} has no known factors to compare the latents of {options.run} with, expected data that "
            f"have, such as --data shapes, or an .npz with the arrays factors [N, F] and factor_names [F]."
        )
    if dataset.examples.shape[1:] != model.event_shape:
        raise ValueError(
            f"the {dataset.kind} of {dataset.name} have shape {dataset.examples.shape[1:]}, those of {options.run} "
            f"{model.event_shape}, expected the same."
        )
    dataset = dataset.take(some_rows(len(dataset.examples), options.limit))
    classes = dataset.factor_names if options.categorical == ("all",) else options.categorical
    if options.categorical != DisentangleOptions.categorical and set(classes) - set(dataset.factor_names):
        raise ValueError(
            f"categorical is {' '.join(options.categorical)}, expected some of the factors of {dataset.name}: "
            f"{', '.join(dataset.factor_names)}; or all."
        )
    varying = [i for i, column in enumerate(np.asarray(dataset.factors).T) if len(np.unique(column)) > 1]
    names = [dataset.factor_names[i] for i in varying]
    assert dataset.factors is not None
    if positive_integer("image", options.image, 0) >= len(dataset.examples):
        raise ValueError(f"image is {options.image}, expected 0 to {len(dataset.examples) - 1}.")
    shown = draw(dataset, given)
    codes = np.asarray(latents.posterior_means(model, params, shown.given(model)))
    with at_work("scoring"):
        scores = disentanglement_scores(
            codes,
            dataset.factors[:, varying],
            categorical=[i for i, name in enumerate(names) if name in classes],
            active=active_latents(codes),
            seed=options.seed,
        )
    words = ", ".join(f"{name} (classes)" if name in classes else name for name in names)
    about = f"{codes.shape[1]} latents, {len(names)} factors: {words}"
    title = f"{about}; {len(codes)} images of {dataset.name}/{split}, seed {options.seed}"
    print_table(title, ("score", "value"), [(SCORES[name], number(value, ".3f")) for name, value in scores.items()])
    context = context_of(shown.take(np.array([options.image])).given(model))
    rows = {}
    for i, name in zip(varying, names, strict=True):
        own = int(dataset.factors[options.image, i])
        _, changed = latents.factor_codes(codes, dataset.factors[:, i], codes[options.image], own)
        few = changed[np.unique(np.linspace(0, len(changed) - 1, MOST).round().astype(int))]
        rows[name] = np.asarray(model.to_unit(decode(model, params, few, context=context)), np.float32)
    widest = max(len(images) for images in rows.values())
    blank = np.ones((widest, *model.event_shape), np.float32)
    rows = {name: np.concatenate([images, blank[len(images) :]]) for name, images in rows.items()}
    folder = Path(options.output or Path(options.run) / "measured" / "disentangle")
    title = "One factor changed, the others left"
    path = str(folder / "factors.png")
    write_images(options.run, "factors", path, None, lambda: plots.compare(rows, widest, title=title))


if __name__ == "__main__":
    launch(main, parser(DisentangleOptions))
