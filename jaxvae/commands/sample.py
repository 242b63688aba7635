"""Draws images from the prior of a trained run.

    python -m experiments.sample runs/digits --count 100
    python -m experiments.sample runs/conditional --label 3

Time: 3 s on two cores. Expected and obtained: a PNG of digits in runs/digits/pictures/sample.png.
"""

from dataclasses import dataclass
from typing import Literal

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.launch import launch
from jaxvae.runs.configs.options import Images, Index


@dataclass(frozen=True)
class SampleOptions:
    """Draws from the prior, as a picture and, if asked, as an array."""

    run: RunFolder
    count: int = 60  # How many images.
    kind: Literal["means", "samples"] = "means"  # E[x | z] of each draw z, or a draw of x itself.
    label: Index | None = None  # The class, of a model that is told it; by default one class after the other.
    seed: int = 0  # Another seed draws other images.
    output: Images = None  # A .png picture or a .npy array [count, H, W, C]; default RUN/pictures/sample.png.
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: SampleOptions) -> None:
    """Writes the file and says where."""
    import jax

    import jaxvae
    from jaxvae.checks import positive_integer
    from jaxvae.commands.parts.labels import in_words, labels_of
    from jaxvae.commands.parts.output import write_images
    from jaxvae.commands.parts.requirements import need_prior
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.latents import generation

    count = positive_integer("count", options.count)
    model, params, _ = jaxvae.load(options.run, recipe=options.recipe, allow_changes=options.allow_changes)
    if model.draw is None:
        need_prior(options.run, model, "there is nothing to draw codes from")
    draw = generation.prior_means if options.kind == "means" else generation.draw
    labels = labels_of(options.run, model, options.label, count)
    images = model.to_unit(draw(model, params, jax.random.key(options.seed), count, context=labels))
    title = f"{'Decoded draws' if options.kind == 'means' else 'Draws of x'} from the prior, seed {options.seed}"
    title += in_words(model, options.label)
    write_images(options.run, "sample", options.output, images, lambda: plots.image_grid(images, title=title))


if __name__ == "__main__":
    launch(main, parser(SampleOptions))
