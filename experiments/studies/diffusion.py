"""A run of a diffusion looked at: its bound and the parts, draws by three samplers, how one comes about, completions.

    python -m experiments.train digits --data.levels 17 --model.kind diffusion --model.prediction levels \\
        --model.noise-start -9 --model.network conv --model.features 12 24 --model.dense 48 --model.activation silu \\
        --epochs 110 --batch-size 32 --optim.lr 4e-3 --optim.schedule cosine --optim.ema 0.997 --test-samples 30 \\
        --evaluate-every 55 --save-every 110 --workdir runs/diffusion
    python -m experiments.diffusion runs/diffusion

The bound is a mean over noise and times, and its Monte Carlo error is printed; no sharper one can be made of it. The
pixels below the known rows are drawn by ancestral sampling in which the known ones are put back after every step: an
approximation, where an autoregressive model completes exactly (`experiments.complete`).

Time: 5 and a half minutes of processor time for the training, one for this script. Expected: at most 86 nats; DDIM and
the probability flow lead from one noise to nearly one picture. Obtained: 77.08 +- 1.12 nats of 30 draws for each image.
"""

from dataclasses import dataclass

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Index

MISSING = 0.25  # the grey of what is not known
COLUMNS = 12


@dataclass(frozen=True)
class DiffusionOptions:
    """The bound of a diffusion's run in nats, its draws, the path of one from noise, and completions of test images."""

    run: RunFolder
    samples: int = 50  # Noises and times for each test image in the bound.
    limit: int | None = None  # Only so many test images in the bound, picked by a fixed permutation.
    steps: tuple[int, ...] = (10, 100)  # Of each sampler, few and many.
    label: Index | None = (
        None  # The class of what is drawn, where the model is told it; by default one after the other.
    )
    guidance: float = 0.0  # Above 0, draws are more of their class than the data's.
    rows: float = 0.5  # The part of the rows, from the top, that is known to a completion.
    repeats: int = 5  # Of each of its steps; more bring it nearer to the conditional law.
    seed: Index = 0  # Of the draws.
    output: str | None = None  # Folder for pictures and results.json; by default RUN/pictures and RUN/measured.
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: DiffusionOptions) -> None:
    """Prints the table, writes the pictures and says where."""
    import jax
    import numpy as np

    import jaxvae
    from jaxvae.checks import finite_number, positive_integer
    from jaxvae.commands.parts.labels import labels_of
    from jaxvae.commands.parts.output import write_images
    from jaxvae.commands.parts.requirements import need_diffusion, need_images
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.bounds.report import evaluate
    from jaxvae.evaluation.latents import draw
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.results import Table
    from jaxvae.models import diffusion
    from jaxvae.runs.held_out import bin_width, load_held_out, setting_of

    finite_number("rows", options.rows, low=0.0, high=1.0)
    many = max(positive_integer("steps", steps) for steps in options.steps)
    model, params, config = jaxvae.load(options.run, recipe=options.recipe, allow_changes=options.allow_changes)
    need_diffusion(options.run, model, "there is no noise to take off")
    need_images(options.run, config, "sample")
    test, key = load_held_out(config.data, allow_changes=options.allow_changes), jax.random.key(options.seed)
    setting = setting_of(config.data, test, options.limit)
    measured = evaluate(model, params, test.given(model), setting, samples=options.samples, bin_width=bin_width(config))
    cells = [(row.name, row, row.unit, row.setting.evidence, row.setting.samples) for row in measured]
    names = (f"per {test.noun}", "mean \N{PLUS-MINUS SIGN} s.e.", "unit", "of log p(x)", "samples")
    print_table(*Table(options.run, names, cells, str(setting)))

    labels = labels_of(options.run, model, options.label, COLUMNS)
    drawn = {}
    for method in ("ancestral", "ddim", "flow"):
        for steps in options.steps:
            own = diffusion.with_sampler(model, method, steps=steps, guidance=options.guidance)
            x = draw(own, params, key, COLUMNS, context=labels)
            drawn[f"{method}, {steps}"] = np.asarray(model.to_unit(x), np.float32)
    words = f", guidance {options.guidance:g}" if options.guidance else ""
    show = plots.compare

    def written(name: str, rows: dict[str, np.ndarray], title: str) -> None:
        images = np.stack(list(rows.values()), axis=1)
        output = None if options.output is None else f"{options.output}/{name}.png"
        write_images(options.run, name, output, images, lambda: show(rows, columns=images.shape[0], title=title))

    written("diffusion_draws", drawn, f"Draws from the same noise, by sampler and steps{words}")

    own = diffusion.with_sampler(model, steps=many, guidance=options.guidance)
    first = None if labels is None else int(np.asarray(labels)[0])
    z, seen = (np.clip((np.asarray(a) + 1) / 2, 0, 1) for a in diffusion.denoising_path(
        own, params, key, 2, context=first, shown=COLUMNS
    ))  # fmt: skip
    path = {f"{what} {i + 1}": a[i] for i in range(2) for what, a in (("noisy", z), ("seen", seen))}
    written("diffusion_path", path, "From noise to data: what is noisy, and what the network sees in it")

    shown = test.some(COLUMNS)
    known = np.zeros(model.event_shape, bool)
    known[: round(options.rows * model.event_shape[0])] = True
    unit = np.asarray(model.to_unit(shown.x), np.float32)
    rows = {"original": unit, "known": np.where(known, unit, np.float32(MISSING))}
    for i in range(3):
        x = diffusion.inpaint(
            own, params, jax.random.fold_in(key, i), shown.given(model), known, steps=many, repeats=options.repeats
        )
        rows[f"draw {i + 1}"] = np.asarray(model.to_unit(x), np.float32)
    written("diffusion_inpainting", rows, "The rest, drawn step by step beside what is known: approximate")


if __name__ == "__main__":
    launch(main, parser(DiffusionOptions))
