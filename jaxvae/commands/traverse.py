"""Moves one latent at a time while the others stay at the code of a test image.

    python -m experiments.traverse runs/digits --image 3

Time: 4 s on two cores. Expected and obtained: a PNG in runs/digits/pictures/traverse.png, a row for each latent,
the one of largest KL first; of largest variance of its posterior mean, where the KL is one number for all latents.
"""

from dataclasses import dataclass

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Images, Index


@dataclass(frozen=True)
class TraverseOptions:
    """A row for each latent, over quantiles of the standard normal."""

    run: RunFolder
    image: Index = 0  # Which test image gives the other latents.
    count: int = 11  # Values per latent, from the 2.5 % to the 97.5 % quantile.
    latents: int = 10  # How many latents, those of largest KL; or of variance, where the KL is one number for all.
    output: Images = None  # A .png picture, or a .npy array [latents, count, H, W, C].
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: TraverseOptions) -> None:
    """Writes the file and says where."""
    import jax
    import numpy as np

    import jaxvae
    from jaxvae.checks import positive_integer
    from jaxvae.commands.parts.output import write_images
    from jaxvae.commands.parts.requirements import need_flat, need_images, need_prior, need_vectors
    from jaxvae.evaluation import latents, plots
    from jaxvae.evaluation.latents import generation
    from jaxvae.models.contexts import context_of
    from jaxvae.runs.held_out import load_held_out

    count, most = positive_integer("count", options.count, 2), positive_integer("latents", options.latents)
    model, params, config = jaxvae.load(options.run, recipe=options.recipe, allow_changes=options.allow_changes)
    need_images(options.run, config, "codes")
    need_prior(options.run, model, "no range of a latent is usual")
    need_flat(options.run, model, "no range of a latent is usual")
    need_vectors(options.run, model, params, "there is no single one to move while the others stay")
    test = load_held_out(config.data, allow_changes=options.allow_changes)
    if positive_integer("image", options.image, 0) >= len(test.x):
        raise ValueError(
            f"image is {options.image}, expected 0 to {len(test.x) - 1}, as many as there are test images."
        )
    strengths = latents.measured_strengths(model, params, jax.random.key(test.seed), test.some(1000).given(model))
    chosen, values = strengths.strongest(most), latents.gaussian_quantiles(count)
    x = test.take(np.array([options.image])).given(model)
    z, context = latents.posterior_means(model, params, x)[0], context_of(x)
    rows = [generation.traverse(model, params, z, latent, values, context=context) for latent in chosen]
    images = np.stack([model.to_unit(row) for row in rows])
    write_images(
        options.run,
        "traverse",
        options.output,
        images,
        lambda: plots.traversals(images, chosen, values, strengths.values[list(chosen)], unit=strengths.unit),
    )


if __name__ == "__main__":
    launch(main, parser(TraverseOptions))
