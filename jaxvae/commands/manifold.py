"""Decodes a grid of Gaussian quantiles: the plane of two latents as a run has learned it, as means of x.

    python -m experiments.train digits-2d
    python -m experiments.manifold runs/digits-2d

or for faces, of which FACES is a file such as frey_faces.npz with uint8 images [1965, 28, 20, 1]:

    python -m experiments.train frey --data.name FACES
    python -m experiments.manifold runs/frey --count 15 --tail 0.05

Time: 4 s on two cores, after a training of half a minute. Expected: neighbours that resemble each other, and every
digit, or expression and pose, somewhere. Obtained: a pixel differs by 0.029 between neighbours and by 0.188 across the
grid of digits, by 0.022 and 0.106 on that of faces, on [0, 1]. The standard deviation 0.3 weighs the squared error
against the KL; with 0.1, or a learned one, the codes leave regions of the prior empty, which decode to noise. Without
the mean image as the decoder's first bias all faces lie in one corner of the plane (0.065 and 0.716).
"""

from dataclasses import dataclass

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Images, Index


@dataclass(frozen=True)
class ManifoldOptions:
    """The means of x over the plane of two latents, the others at 0."""

    run: RunFolder
    latents: tuple[Index, Index] | None = None  # The latent that grows to the right, and upwards; default largest KL.
    count: int = 20  # Values of each latent.
    label: Index | None = None  # The class, of a model that is told it; by default 0.
    tail: float = 0.025  # From this quantile of the prior to 1 minus it.
    output: Images = None  # A .png picture, or a .npy array [count, count, H, W, C].
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: ManifoldOptions) -> None:
    """Writes the file and says where."""
    import jax
    import numpy as np

    import jaxvae
    from jaxvae.checks import positive_integer
    from jaxvae.commands.parts.labels import in_words, labels_of
    from jaxvae.commands.parts.output import write_images
    from jaxvae.commands.parts.requirements import need_flat, need_images, need_prior, need_vectors
    from jaxvae.evaluation import latents, plots
    from jaxvae.evaluation.latents import generation
    from jaxvae.evaluation.latents.decoding import count_latents
    from jaxvae.evaluation.measured import print_table
    from jaxvae.runs.held_out import load_held_out

    count = positive_integer("count", options.count, 2)
    values = latents.gaussian_quantiles(count, options.tail)
    model, params, config = jaxvae.load(options.run, recipe=options.recipe, allow_changes=options.allow_changes)
    need_images(options.run, config, "codes")
    need_prior(options.run, model, "there are no quantiles for a grid to cover")
    need_flat(options.run, model, "there are no quantiles for a grid to cover")
    need_vectors(options.run, model, params, "there is no plane of two of them")
    latent_dim = count_latents(model, params)
    if latent_dim < 2:
        raise ValueError(
            f"{options.run} has {latent_dim} latent, expected two or more for a plane. Try jaxvae "
            f"traverse {options.run}"
        )
    plane = options.latents
    if plane is None:
        test = load_held_out(config.data, allow_changes=options.allow_changes)
        strengths = latents.measured_strengths(model, params, jax.random.key(test.seed), test.some(1000).given(model))
        first, second = (0, 1) if latent_dim == 2 else strengths.strongest(2)
        plane = (first, second)
    label = 0 if options.label is None and model.context is not None else options.label
    context = None if label is None else labels_of(options.run, model, label, 1)[0]
    images = generation.manifold(model, params, plane, count, tail=options.tail, context=context)
    images = np.asarray(model.to_unit(images))
    right, up = (np.abs(np.diff(images, axis=axis)).mean() for axis in (1, 0))
    far = np.abs(images - images[::-1, ::-1]).mean()
    differences = [("between neighbours", float(right + up) / 2), ("across the grid", float(far))]
    print_table(f"a grid of {count} x {count}, pixels on [0, 1]", ("a pixel differs", "mean"), differences)
    title = "Means of x over the latent plane" + (f", the other {latent_dim - 2} latents 0" if latent_dim > 2 else "")
    title += in_words(model, label)
    write_images(
        options.run, "manifold", options.output, images, lambda: plots.manifold(images, values, plane, title=title)
    )


if __name__ == "__main__":
    launch(main, parser(ManifoldOptions))
