"""Walks between the codes of pairs of test images: along a line and along an arc, decoded as means of x.

    python -m experiments.interpolate runs/digits --pairs 5 --path linear spherical

Time: 5 s on two cores. Expected: rows that change from one digit into the other and end in their reconstructions. In
many dimensions the middle of a line lies nearer to 0 than the prior's draws, whose norms are about sqrt(Z), and decodes
to something paler. Obtained: with 8 latents the ends have a mean norm of 2.86, the middles of the lines 1.98 and those
of the arcs 2.86; a 7 on its way to a 5 is grey on the line and stays black and white on the arc.
"""

from dataclasses import dataclass
from typing import Any, Literal

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Images


@dataclass(frozen=True)
class InterpolateOptions:
    """A row for each pair and path, the originals at its ends."""

    run: RunFolder
    pairs: int = 5
    """How many pairs of test images: of different classes where labels are known, of one where the model is told it."""
    steps: int = 9  # Images in a row, both ends included.
    path: tuple[Literal["linear", "spherical"], ...] | None = None
    """Line, arc of equal angles, or both; default both, or the arc alone where codes lie on a sphere."""
    seed: int = 0  # Another seed takes other pairs.
    output: Images = None  # A .png picture, or a .npy array [pairs * paths, steps, H, W, C].
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: InterpolateOptions) -> None:
    """Writes the file and says where."""
    import jax
    import numpy as np

    import jaxvae
    from jaxvae.checks import positive_integer
    from jaxvae.commands.parts.output import write_images
    from jaxvae.commands.parts.requirements import need_flat, need_images, need_vectors
    from jaxvae.evaluation import latents, plots
    from jaxvae.evaluation.latents import generation
    from jaxvae.evaluation.measured import print_table
    from jaxvae.runs.held_out import load_held_out

    paths = {"linear": latents.linear_path, "spherical": latents.spherical_path}
    pairs, steps = positive_integer("pairs", options.pairs), positive_integer("steps", options.steps, 2)
    if options.path is not None and (not options.path or len(set(options.path)) != len(options.path)):
        raise ValueError(f"path is {options.path}, expected linear, spherical or both, each once.")
    model, params, config = jaxvae.load(options.run, recipe=options.recipe, allow_changes=options.allow_changes)
    need_images(options.run, config, "reconstruct")
    need_vectors(options.run, model, params, "there is nothing between two of them", groups=True)
    chosen = options.path or (("spherical",) if model.posterior.support == "sphere" else ("linear", "spherical"))
    if "linear" in chosen:
        need_flat(options.run, model, "a line would leave it; an arc does not: --path spherical")
    test = load_held_out(config.data, allow_changes=options.allow_changes)
    a, b = chosen_pairs(test.labels, len(test.x), pairs, options.seed, same=model.context is not None)
    ends = test.take(a).given(model), test.take(b).given(model)
    images = {name: generation.interpolate(model, params, *ends, steps, path=paths[name]) for name in chosen}
    codes = [jax.tree.leaves(latents.posterior_means(model, params, end)) for end in ends]  # groups of latents
    norm = np.mean([np.linalg.norm(np.concatenate(code, axis=1), axis=1).mean() for code in codes])
    sizes = " + ".join(str(group.shape[1]) for group in codes[0])
    lengths = [("the ends", float(norm))]
    for name in chosen:
        halfway = jax.vmap(lambda a, b, path=paths[name]: path(a, b, 3)[1])
        middle = np.concatenate([halfway(*group) for group in zip(*codes, strict=True)], axis=1)
        lengths.append((f"the middles, {name}", float(np.linalg.norm(middle, axis=1).mean())))
    print_table(f"{sizes} latents, {pairs} pairs of test images", ("codes", "mean norm"), lengths)
    rows = np.stack(list(images.values()), axis=1)  # the paths of a pair one under the other
    rows = np.asarray(model.to_unit(rows.reshape(-1, *rows.shape[2:])))
    originals = [np.repeat(test.raw[end], len(images), axis=0) for end in (a, b)]
    kinds = [name for _ in range(pairs) for name in chosen]
    title = "Means of x between two codes"
    write_images(
        options.run,
        "interpolate",
        options.output,
        rows,
        lambda: plots.interpolations(rows, *originals, rows=kinds, title=title),
    )


def chosen_pairs(labels: Any, count: int, pairs: int, seed: int, *, same: bool = False) -> tuple[Any, Any]:
    """Indices [pairs] of both ends, of different classes where labels are known; or of the same, which a path keeps."""
    import numpy as np

    rng = np.random.default_rng(seed)
    a = rng.choice(count, pairs, replace=pairs > count)
    kinds = np.arange(count) if labels is None else labels
    if same:
        return a, np.array([rng.choice(np.flatnonzero(kinds == kinds[index])) for index in a])
    others = [np.flatnonzero(kinds != kinds[index]) for index in a]
    if any(len(other) == 0 for other in others):
        raise ValueError(f"the test images have one class, {kinds[0]}, expected pairs of different ones.")
    return a, np.array([rng.choice(other) for other in others])


if __name__ == "__main__":
    launch(main, parser(InterpolateOptions))
