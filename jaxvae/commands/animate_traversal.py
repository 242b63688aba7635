"""A GIF of latents that move: each column moves one latent of a test image through the prior and back.

    python -m experiments.animate_traversal runs/digits --latents 8

Time: 10 s on two cores. Expected and obtained: runs/digits/pictures/traversal.gif, the column of largest KL on the
left, where something changes; a latent whose KL is near 0 changes nothing.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.commands.parts.progress import progress_bar
from jaxvae.files import make_folder
from jaxvae.runs.configs.options import Gif, Least, output_path


@dataclass(frozen=True)
class AnimateTraversalOptions:
    """Means of x while one latent in each column moves and the others stay, as an animation."""

    run: RunFolder
    latents: int = 8  # How many, a column each: of largest KL, or variance where the KL is one number for all.
    images: int = 3  # How many test images, a row each, give the others.
    frames: int = 24  # From the 2.5 % to the 97.5 % quantile; then back.
    seconds: float = 0.08  # How long each frame is shown.
    colors: Annotated[int, Least(2)] = 256  # Of a frame, at most; with 32 the file has half the size.
    output: Gif = None  # A .gif; default RUN/pictures/traversal.gif.
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: AnimateTraversalOptions) -> None:
    """Writes the file and says where."""
    from pathlib import Path

    import jax
    import numpy as np

    import jaxvae
    from jaxvae.checks import positive_integer
    from jaxvae.commands.parts.requirements import need_flat, need_images, need_prior, need_vectors
    from jaxvae.evaluation import latents
    from jaxvae.evaluation.latents import generation
    from jaxvae.evaluation.plots import animations, image_grids
    from jaxvae.evaluation.plots.latent_grids import strength_label
    from jaxvae.models.contexts import context_of
    from jaxvae.runs.held_out import load_held_out

    columns, rows = positive_integer("latents", options.latents), positive_integer("images", options.images)
    values = latents.gaussian_quantiles(positive_integer("frames", options.frames, 2))
    colors = animations.palette_size(options.colors)
    model, params, config = jaxvae.load(options.run, recipe=options.recipe, allow_changes=options.allow_changes)
    need_images(options.run, config, "codes")
    need_prior(options.run, model, "no range of a latent is usual")
    need_flat(options.run, model, "no range of a latent is usual")
    need_vectors(options.run, model, params, "there is no single one to move while the others stay")
    test = load_held_out(config.data, allow_changes=options.allow_changes)
    strengths = latents.measured_strengths(model, params, jax.random.key(test.seed), test.some(1000).given(model))
    chosen = strengths.strongest(columns)
    shown = test.some(rows).given(model)
    codes = latents.posterior_means(model, params, shown)
    contexts = [None] * len(codes) if model.context is None else context_of(shown)

    def row(z: Any, context: Any) -> list[Any]:
        return [generation.traverse(model, params, z, latent, values, context=context) for latent in chosen]

    moved = np.stack([row(z, context) for z, context in zip(codes, contexts, strict=True)])
    cells = np.asarray(model.to_unit(moved)).swapaxes(0, 2).swapaxes(1, 2)  # [frames, rows, columns, H, W, C]
    gap = image_grids.gap_of(cells)
    frames = []
    with progress_bar("frames", len(values)) as progress:
        for i, value in enumerate(values):
            figure, _ = image_grids.show(
                cells[i],
                None,
                title=f"One latent in each column at {value + 0.0:+.2f}".replace("-", "\N{MINUS SIGN}"),
                row_gaps=[gap] * (cells.shape[1] - 1),
                column_gaps=[gap] * (cells.shape[2] - 1),
                columns=[
                    f"z[{latent}]\n{strength_label(strengths.values[latent], strengths.unit)}" for latent in chosen
                ],
            )
            frames.append(animations.rendered(figure))
            progress(i + 1)
    path = output_path(options.output, Path(options.run) / "pictures" / "traversal.gif")
    make_folder(path.parent)
    looped = animations.there_and_back(animations.same_size(frames))
    print(animations.save_gif(looped, path, seconds=options.seconds, colors=colors))


if __name__ == "__main__":
    launch(main, parser(AnimateTraversalOptions))
