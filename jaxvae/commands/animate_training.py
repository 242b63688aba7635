"""A GIF of a training: the same draws, reconstructions or latent plane after more and more epochs.

    python -m experiments.animate_training runs/digits-2d --show manifold --epochs 100

It trains the run anew in memory, which gives the same steps to the bit, and takes a frame at the beginning and after
epochs that grow by a constant factor, since the first ones change most. With --kept the frames are the checkpoints that
the run has kept; train with --keep and --save-every to keep many.

Time: 25 s on two cores. Expected and obtained: runs/digits-2d/pictures/training_manifold.gif, from noise to digits that
spread over the plane, -ELBO falling in the title.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.commands.parts.progress import progress_bar
from jaxvae.files import make_folder
from jaxvae.runs.configs.options import Gif, Least, output_path


@dataclass(frozen=True)
class AnimateTrainingOptions:
    """Means of x after more and more training, as an animation."""

    run: RunFolder
    show: Literal["samples", "reconstructions", "manifold"] = "samples"  # What each frame shows.
    epochs: int = 60  # Train anew for so many epochs.
    frames: int = 24  # How many moments of that training.
    kept: Switch = False  # The run's kept checkpoints instead.
    count: int = 48  # Images in a frame of samples or reconstructions; the manifold has 12 x 12.
    seconds: float = 0.2  # How long each frame is shown; the last one for two seconds more.
    colors: Annotated[int, Least(2)] = 256  # Of a frame, at most; with 32 the file has half the size.
    output: Gif = None  # A .gif; default RUN/pictures/training_SHOW.gif.
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: AnimateTrainingOptions) -> None:
    """Writes the file and says where."""
    from pathlib import Path

    import jax
    import numpy as np

    import jaxvae
    from jaxvae.checks import positive_integer
    from jaxvae.commands.parts.requirements import need_encoder, need_flat, need_images, need_vectors
    from jaxvae.evaluation import latents, plots
    from jaxvae.evaluation.latents import generation
    from jaxvae.evaluation.latents.decoding import contexts_in_turn
    from jaxvae.evaluation.plots import animations
    from jaxvae.runs.held_out import load_held_out

    count, epochs = positive_integer("count", options.count), positive_integer("epochs", options.epochs)
    moments, colors = positive_integer("frames", options.frames, 2), animations.palette_size(options.colors)
    model, params, config = jaxvae.load(options.run, recipe=options.recipe, allow_changes=options.allow_changes)
    need_images(options.run, config, "report")
    test = load_held_out(config.data, allow_changes=options.allow_changes)
    shown, values, plane = test.some(count), latents.gaussian_quantiles(12), (0, 1)
    if model.prior.support == "none" and model.draw is None and options.show != "reconstructions":
        raise ValueError(f"{options.run} is of a model without a prior. Use --show reconstructions.")
    if options.show == "reconstructions":
        need_encoder(options.run, model, "there is nothing to reconstruct from")
    if options.show == "manifold":
        need_flat(options.run, model, "there are no quantiles for a grid to cover")
        need_vectors(options.run, model, params, "there is no plane of two of them")
        strengths = latents.measured_strengths(model, params, jax.random.key(test.seed), test.some(1000).given(model))
        first, second = (0, 1) if strengths.values.size == 2 else strengths.strongest(2)
        plane = (first, second)

    seen = shown.given(model)

    def draw(params: Any, title: str) -> Any:
        if options.show == "samples":
            images = generation.means_or_draws(
                model, params, jax.random.key(0), count, context=contexts_in_turn(model, count)
            )
            return plots.image_grid(model.to_unit(images), columns=12, title=f"Decoded draws of the prior, {title}")
        if options.show == "manifold":
            others = f", the other {strengths.values.size - 2} latents 0" if strengths.values.size > 2 else ""
            context = None if model.context is None else 0
            images = generation.manifold(model, params, plane, len(values), context=context)
            return plots.manifold(model.to_unit(images), values, plane, title=f"The latent plane{others}, {title}")
        rows = shown.rows(model) | {"reconstruction": model.to_unit(generation.reconstructions(model, params, seen))}
        return plots.compare(rows, title=f"Reconstructions, {title}")

    allowed = options.allow_changes
    if config.recipe.name is not None and not options.kept:
        raise ValueError(f"{options.run} is a run of {config.recipe.name}, which is not trained anew here. Use --kept.")
    if options.kept:
        source = kept(options.run, allowed, options.recipe)
    else:
        source = anew(config, schedule(epochs, moments), allowed)
    frames = []
    with progress_bar("frames", moments) as progress:
        for params, title in source:
            frames.append(animations.rendered(draw(params, title)[0]))
            progress(len(frames))
    path = output_path(options.output, Path(options.run) / "pictures" / f"training_{options.show}.gif")
    make_folder(path.parent)
    times = np.full(len(frames), options.seconds)
    times[-1] += 2
    print(animations.save_gif(animations.same_size(frames), path, seconds=times.tolist(), colors=colors))


def schedule(epochs: int, moments: int) -> list[int]:
    """0, then at most moments - 1 epochs from 1 on that grow by a constant factor."""
    import numpy as np

    return [0, *np.unique(np.geomspace(1, epochs, max(moments - 1, 1)).round().astype(int)).tolist()]


def anew(config: Any, epochs: list[int], allow_changes: bool = False) -> Iterator[tuple[Any, str]]:
    """Parameters of the config's run after so many epochs, and words for a title; the same steps as in its folder."""
    import jax

    from jaxvae.runs.builders.from_config import build_model, build_training
    from jaxvae.runs.examples import blank_example
    from jaxvae.runs.fitting import run_epochs
    from jaxvae.runs.folder.sampling import sampled
    from jaxvae.runs.given_data import check_given, load_split
    from jaxvae.runs.held_out import split_training, training_examples
    from jaxvae.training.engine.parallel import compile_steps
    from jaxvae.training.engine.state import averaged_params, compiled_init

    train = load_split(config.data, config.data.train_split)
    check_given(config.data, train, config.data.train_split, allow_changes=allow_changes)
    train, _ = split_training(config, train)
    images = train.images
    per_epoch, ema = len(images) // config.batch_size, config.optim.ema
    data = config.data
    model = build_model(
        config.model, data.image_shape, images, classes=data.classes, levels=data.levels, protocol=data.protocol
    )
    parts = build_training(config, model, per_epoch)
    compiled = compile_steps(
        *parts,
        batch_size=config.batch_size,
        steps_per_call=min(per_epoch, 2000),
        ema=ema,
        mode=config.parallel,
        skip_above=config.optim.skip_above,
    )
    start, data = blank_example(model), sampled(config, model, training_examples(config.model, train))
    state = compiled_init(model, parts.optimizer, ema=ema is not None)(jax.random.key(config.seed), start)
    history: list[dict[str, Any]] = []
    for before, after in zip([0, *epochs], epochs, strict=False):
        if after > before:
            state, history = run_epochs(compiled, state, data, after - before, progress=False)
        elbo = history[-1].get("elbo") if history else None
        bound = "" if elbo is None else f": \N{MINUS SIGN}ELBO {-elbo:.1f} nats".replace(" -", " \N{MINUS SIGN}")
        yield jax.device_get(averaged_params(state)), f"epoch {after}{bound}"


def kept(run: str, allow_changes: bool = False, recipe: str | None = None) -> Iterator[tuple[Any, str]]:
    """Parameters of every checkpoint of a run, and words for a title."""
    from pathlib import Path

    import jaxvae
    from jaxvae.runs.folder.run_folder import CHECKPOINTS
    from jaxvae.training.checkpoints import checkpoint

    steps = checkpoint.steps(Path(run) / CHECKPOINTS)
    for step in steps:
        with contextlib.suppress(FileNotFoundError):  # a run that trains meanwhile has deleted it
            found = jaxvae.load(run, step=step, allow_changes=allow_changes, recipe=recipe)
            yield found.params, f"step {step:,} of {steps[-1]:,}"


if __name__ == "__main__":
    launch(main, parser(AnimateTrainingOptions))
