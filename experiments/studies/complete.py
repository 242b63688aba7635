"""Completes test images of which only the upper part is known, by a run of an autoregressive model.

    python -m experiments.train mnist --model.kind pixel_cnn --epochs 1 --batch-size 32 --optim.lr 3e-3 \\
        --optim.schedule cosine --workdir runs/pixel_cnn
    python -m experiments.complete runs/pixel_cnn --rows 0.5

Time: 6 s on two cores. Expected and obtained: a PNG in RUN/pictures/complete.png, originals on top, what was known
below them, then completions that differ.
"""

from dataclasses import dataclass

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Images

MISSING = 0.25  # the grey of what is not known


@dataclass(frozen=True)
class CompleteOptions:
    """Draws what is below the known rows of test images, several times."""

    run: RunFolder
    rows: float = 0.5  # The part of the rows, from the top, that is known.
    count: int = 12  # How many test images, picked by a fixed permutation.
    draws: int = 4  # Completions of each.
    seed: int = 0  # Of the draws.
    output: Images = None  # A .png picture, or a .npy array [count, 1 + draws, H, W, C]: the original, then the draws.
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: CompleteOptions) -> None:
    """Writes the file and says where."""
    import jax
    import numpy as np

    import jaxvae
    from jaxvae.checks import finite_number, positive_integer
    from jaxvae.commands.parts.output import write_images
    from jaxvae.commands.parts.requirements import need_order
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.samples.completion import complete
    from jaxvae.runs.held_out import load_held_out

    finite_number("rows", options.rows, low=0.0, high=1.0)
    count, draws = positive_integer("count", options.count), positive_integer("draws", options.draws)
    model, params, config = jaxvae.load(options.run, recipe=options.recipe, allow_changes=options.allow_changes)
    need_order(options.run, model, "there is nothing to draw the rest from")
    test = load_held_out(config.data, allow_changes=options.allow_changes).some(count)
    height = model.event_shape[0]
    known = np.zeros(model.event_shape, bool)
    known[: round(options.rows * height)] = True
    x = test.given(model)
    found = complete(model, params, jax.random.key(options.seed), x, known, draws=draws, candidates=1).x
    unit = np.asarray(model.to_unit(test.x), np.float32)
    rows = {"original": unit, "known": np.where(known, unit, np.float32(MISSING))}
    again = {f"draw {i + 1}": np.asarray(model.to_unit(found[:, i]), np.float32) for i in range(draws)}
    write_images(
        options.run,
        "complete",
        options.output,
        np.stack([unit, *again.values()], axis=1),
        lambda: plots.compare(rows | again, columns=min(12, len(unit)), title="The rest, drawn pixel by pixel"),
    )


if __name__ == "__main__":
    launch(main, parser(CompleteOptions))
