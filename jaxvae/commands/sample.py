"""Draws images, or rows of a table, from the prior of a trained run.

    python -m experiments.sample runs/digits --count 100
    python -m experiments.sample runs/conditional --label 3

Time: 3 s on two cores. Expected and obtained: a PNG of digits in runs/digits/pictures/sample.png.
"""

from dataclasses import dataclass
from typing import Any, Literal

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Drawn, Index


@dataclass(frozen=True)
class SampleOptions:
    """Draws from the prior, as a picture and, if asked, as an array; of a table also as rows in its own units."""

    run: RunFolder
    count: int | None = None  # How many: by default 60 images, or 1000 rows.
    kind: Literal["means", "samples"] | None = None
    """E[x | z] of each draw z, or a draw of x itself: by default the means of images drawn through latents, and else
    samples."""
    label: Index | None = None  # The class, of a model that is told it; by default one class after the other.
    temperature: float | None = None  # Of a hierarchy: what the prior's standard deviations are multiplied by.
    seed: int = 0  # Another seed draws other images.
    output: Drawn = None
    """A .png picture, a .npy array [count, H, W, C] or [count, D], or a .csv of rows; default
    RUN/pictures/sample.png, of rows with both files beside it."""
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: SampleOptions) -> None:
    """Writes the file and says where."""
    import jax
    import numpy as np

    import jaxvae
    from jaxvae.checks import positive_integer
    from jaxvae.commands.parts.labels import in_words, labels_of
    from jaxvae.commands.parts.output import write_images
    from jaxvae.commands.parts.requirements import need_prior
    from jaxvae.commands.parts.rows import write_rows
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.latents import generation
    from jaxvae.evaluation.latents.partial import tempered_draws
    from jaxvae.models.meaning import draws_through_latents
    from jaxvae.runs.given_data import load_split
    from jaxvae.runs.held_out import load_held_out
    from jaxvae.runs.tables.columns import columns_of

    model, params, config = jaxvae.load(options.run, recipe=options.recipe, allow_changes=options.allow_changes)
    columns = columns_of(config.data)
    usual = 60 if columns is None else 1000
    count = positive_integer("count", usual if options.count is None else options.count)
    through = draws_through_latents(model)
    kind = options.kind or ("means" if columns is None and through else "samples")
    if model.draw is None:
        need_prior(options.run, model, "there is nothing to draw codes from")
    if kind == "means" and not through:
        raise ValueError(
            f"kind is 'means', but {options.run} is of a model without latents: a draw has no mean of its own. Leave "
            f"--kind out, or set --kind samples."
        )
    draw: Any = generation.prior_means if kind == "means" else generation.draw
    if (temperature := options.temperature) is not None:
        if kind != "means" or options.label is not None:
            raise ValueError(
                f"temperature is {temperature:g}, which is for means of a hierarchy without labels. Leave out --kind "
                f"and --label, or --temperature."
            )

        def draw(model: Any, params: Any, key: Any, count: int, *, context: Any) -> Any:
            return tempered_draws(model, params, key, count, temperature)

    labels = labels_of(options.run, model, options.label, count)
    x = draw(model, params, jax.random.key(options.seed), count, context=labels)
    title = f"{'Decoded draws from the prior' if kind == 'means' else 'Draws'}, seed {options.seed}"
    title += in_words(model, options.label)
    title += "" if options.temperature is None else f", temperature {options.temperature:g}"
    if columns is not None:
        values = columns.to_values(x)

        def picture() -> Any:
            test = load_held_out(config.data, allow_changes=options.allow_changes)
            groups, shown = {"test rows": test.raw, "draws": values}, plots.most_varying(test.x)
            return plots.column_pairs(groups, columns.names, columns=shown, title=title)

        beside = {}
        if labels is not None:
            names = load_split(config.data, config.data.test_split).class_names
            told = np.asarray(labels)
            beside = {config.data.label_column or "label": (np.array(names)[told] if names else told).tolist()}
        write_rows(options.run, "sample", options.output, values, columns.names, picture, beside)
        return
    images = model.to_unit(x)
    write_images(options.run, "sample", options.output, images, lambda: plots.image_grid(images, title=title))


if __name__ == "__main__":
    launch(main, parser(SampleOptions))
