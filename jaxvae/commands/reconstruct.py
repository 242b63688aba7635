"""Reconstructs test images, or test rows of a table, of a trained run, several times from one posterior.

    python -m experiments.reconstruct runs/digits --count 12 --samples 3

Time: 4 s on two cores. Expected and obtained: a PNG in runs/digits/pictures/reconstruct.png, originals on top.
"""

from dataclasses import dataclass

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Drawn


@dataclass(frozen=True)
class ReconstructOptions:
    """Originals above reconstructions from the posterior mean and from draws of the posterior; rows in own units."""

    run: RunFolder
    count: int | None = None  # How many test images (default 12) or rows (200), picked by a fixed permutation.
    samples: int = 3  # Reconstructions from draws of each posterior, below the one from its mean.
    seed: int = 0  # Of the draws.
    output: Drawn = None
    """A .png picture, a .npy array [count, 2 + samples, H, W, C] or [count, 2 + samples, D], or a .csv of rows."""
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: ReconstructOptions) -> None:
    """Writes the file and says where."""
    import jax
    import numpy as np

    import jaxvae
    from jaxvae.checks import positive_integer
    from jaxvae.commands.parts.output import write_images
    from jaxvae.commands.parts.requirements import need_encoder
    from jaxvae.commands.parts.rows import write_rows
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.latents import generation
    from jaxvae.runs.held_out import load_held_out

    samples = positive_integer("samples", options.samples)
    model, params, config = jaxvae.load(options.run, recipe=options.recipe, allow_changes=options.allow_changes)
    need_encoder(options.run, model, "there is nothing to reconstruct from")
    test = load_held_out(config.data, allow_changes=options.allow_changes)
    usual = 12 if test.columns is None else 200
    test = test.some(positive_integer("count", usual if options.count is None else options.count))
    x = test.given(model)
    draws = generation.posterior_reconstructions(model, params, jax.random.key(options.seed), x, samples)
    means = {"mean": generation.reconstructions(model, params, x)}
    again = means | {f"draw {i + 1}": draws[:, i] for i in range(samples)}
    if (columns := test.columns) is not None:
        values = {"original": test.raw} | {name: columns.to_values(row) for name, row in again.items()}
        table = np.stack(list(values.values()), axis=1)
        shown = plots.most_varying(test.x)
        beside = {"row": np.repeat(np.arange(len(table)), len(values)), "what": [*values] * len(table)}
        write_rows(
            options.run,
            "reconstruct",
            options.output,
            table,
            columns.names,
            lambda: plots.column_reconstructions(
                values["original"], values["mean"], columns.names, columns=shown, title="Reconstructions of test rows"
            ),
            beside,
        )
        return
    rows = {name: row / np.float32(255) if row.dtype == np.uint8 else row for name, row in test.rows(model).items()}
    rows |= {name: np.asarray(model.to_unit(row)) for name, row in again.items()}
    write_images(
        options.run,
        "reconstruct",
        options.output,
        np.stack(list(rows.values()), axis=1),
        lambda: plots.compare(rows, columns=min(12, len(test.x)), title="Several reconstructions from one posterior"),
    )


if __name__ == "__main__":
    launch(main, parser(ReconstructOptions))
