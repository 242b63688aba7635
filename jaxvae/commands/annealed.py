"""log p(x) of a trained run from both sides, and where its ELBO is lost.

    python -m experiments.annealed runs/digits --images 20

On test images: the ELBO, the importance-weighted bound, annealed importance sampling, and the gap log p(x) - ELBO split
into what the family of q loses and what the encoder loses. On images drawn from the model itself, of which an exact
posterior sample is known, also the upper bound, so that the true value lies between: how far apart the two are says how
well annealing works for this model (bidirectional Monte Carlo).

Time: about two minutes on two cores for the digits. Expected: lower and upper bound within a few tenths of a nat of
each other, IW-K and the lower bound close to each other on test images. Obtained with --images 10 --temperatures 500:
upper minus lower 0.30 +- 0.09; on test images ELBO -154.04, IW-1000 -150.42, annealed -149.67, and of the gap of 4.4
nats 0.6 lost to the family of q, 3.8 to the encoder. For the plain run of `experiments.priors` on MNIST (784-400-40),
with the defaults and four minutes of processor time, on the first 20 test images: upper minus lower 0.39 +- 0.09; ELBO
-104.49, IW-1000 -98.16, annealed -96.99, 4.58 +- 0.14 lost to the family of q, 2.90 +- 0.25 to the encoder.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.commands.parts.progress import progress_bar
from jaxvae.runs.configs.options import Index
from jaxvae.waiting import at_work


@dataclass(frozen=True)
class AnnealedOptions:
    """Annealed bounds on log p(x) in nats per image, each with its standard error."""

    run: RunFolder
    images: int = 20  # Test images, picked by a fixed permutation, and as many simulated ones.
    temperatures: int = 1000  # Moves of each chain.
    chains: int = 16  # Independent chains per image.
    leapfrog_steps: int = 10  # Gradients in each move.
    start: Literal["prior", "posterior"] = "prior"  # Where the chains begin: p(z) or q(z | x).
    samples: int = 1000  # Posterior samples K of the importance-weighted bound.
    steps: Index = 500  # Of Adam, for the best q of each image; 0 leaves the split of the gap out.
    step: Index | None = None  # A saved step of the run; by default the newest.
    json: Switch = False  # Print JSON instead of a table.
    output: str | None = None  # Folder for results.json, .csv and .tex; default RUN/measured/annealed.
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: AnnealedOptions) -> None:
    """Prints both tables."""
    import hashlib

    import jax
    import numpy as np

    import jaxvae
    from jaxvae.commands.parts.requirements import need_weights
    from jaxvae.evaluation.annealing.annealed import ancestral_sample
    from jaxvae.evaluation.measured import Setting, print_table
    from jaxvae.evaluation.results import Table, note
    from jaxvae.runs.held_out import load_held_out, setting_of

    model, params, config = jaxvae.load(
        options.run, recipe=options.recipe, step=options.step, allow_changes=options.allow_changes
    )
    need_weights(options.run, model, "there is nothing to anneal")
    test = load_held_out(config.data, allow_changes=options.allow_changes)
    setting = setting_of(config.data, test, options.images)
    keys = jax.random.split(jax.random.key(test.seed), 3)
    rows = _measure(model, params, keys[0], test.some(setting.examples).given(model), None, options, setting)
    if model.context is None:
        drawn, z = ancestral_sample(model, params, keys[1], options.images)
        digest = hashlib.sha256(np.asarray(drawn).tobytes()).hexdigest()
        there = Setting("drawn from the model", options.images, options.images, "", test.seed, digest)
        rows += _measure(model, params, keys[2], drawn, z, options, there)
    for data in dict.fromkeys(row.setting.data for row in rows):
        here = [row for row in rows if row.setting.data == data]
        title = f"{options.run}: {here[0].setting._replace(samples='')}"
        names = (f"nats per {test.noun}", "mean \N{PLUS-MINUS SIGN} s.e.", "samples")
        table = Table(title, names, [(row.name, row, row.setting.samples) for row in here])
        if options.json:
            note(table)
        else:
            print_table(*table)
    if test.columns is not None and test.columns.std is not None and not options.json:
        print(
            f"All of it is of x, the standardised columns. In the table's own units log p is "
            f"{test.columns.log_scale:.4f} nats less, the sum of log std of the columns."
        )
    if options.json:
        found = [row._asdict() | {"estimate": row.estimate._asdict(), "setting": row.setting._asdict()} for row in rows]
        print(json.dumps(found, indent=2))


def _measure(model: Any, params: Any, key: Any, x: Any, z: Any, options: AnnealedOptions, setting: Any) -> list[Any]:
    """The rows of one table."""
    import jax

    import jaxvae
    from jaxvae.evaluation.annealing.annealed import annealed_bounds
    from jaxvae.evaluation.local.gaps import inference_gaps
    from jaxvae.evaluation.measured import Measured

    keys = jax.random.split(key, 3)
    with progress_bar(f"annealing, {setting.data}", setting.examples) as progress:
        chains = annealed_bounds(
            model,
            params,
            keys[0],
            x,
            z,
            temperatures=options.temperatures,
            chains=options.chains,
            leapfrog_steps=options.leapfrog_steps,
            start=options.start,
            progress=progress,
        )
    with progress_bar(f"importance samples, {setting.data}", setting.examples) as progress:
        weights = jaxvae.per_example(model, params, keys[1], x, samples=options.samples, progress=progress)
    way = f"{options.chains} chains from the {options.start}, T = {options.temperatures}, L = {options.leapfrog_steps}"
    many = f"K = {options.samples}"
    values = {"ELBO": (weights["elbo"], many), f"IW-{options.samples}": (weights["iwae"], many)}
    values["annealed, lower bound"] = (chains["lower"], way)
    if z is not None:
        values["annealed, upper bound"] = (chains["upper"], way)
        values["upper - lower"] = (chains["upper"] - chains["lower"], way)
    elif options.steps and model.posterior.distribution is not None:
        with at_work(f"fitting q to each image, {setting.data}"):
            gaps = inference_gaps(
                model, params, keys[2], x, log_p=chains["lower"], samples=options.samples, steps=options.steps
            )
        values["log p"] = (gaps["log_p"], "the best of these and of IW from the best q of each image")
        for name in ("approximation_gap", "amortisation_gap"):
            values[name.replace("_", " ")] = (gaps[name], f"{many}, {options.steps} steps of Adam")
    estimates = jaxvae.summarize({name: value for name, (value, _) in values.items()})
    return [
        Measured(name, estimates[name], "nats", setting._replace(samples=words)) for name, (_, words) in values.items()
    ]


if __name__ == "__main__":
    launch(main, parser(AnnealedOptions))
