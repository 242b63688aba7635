"""Measures a trained run on its test images: bounds on log p(x) in nats, with their standard errors.

    python -m experiments.evaluate runs/digits --samples 1 50 5000

Time: 4 s on two cores for the digits with 100 samples. Expected: -ELBO as in the run's summary.json within its standard
error. Obtained, for a run at 164.55 +- 1.52: 164.45 +- 1.45, and 160.58 for the importance-weighted bound.
"""

import json
from dataclasses import dataclass

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.commands.parts.progress import progress_bar
from jaxvae.runs.configs.config import Precision
from jaxvae.runs.configs.options import Index


@dataclass(frozen=True)
class EvaluateOptions:
    """Bounds on log p(x) of the test images, in nats, each with its standard error."""

    run: RunFolder
    samples: tuple[int, ...] = (50,)  # Posterior samples K per image, one or several; the bound tightens with K.
    limit: int | None = None  # Only so many test images, picked by a fixed permutation.
    precision: Precision = "default"  # Of the networks' products: JAX's own, bfloat16 factors, or float32.
    step: Index | None = None  # A saved step; by default the newest.
    json: Switch = False  # Print JSON instead of a table.
    output: str | None = None  # Folder for results.json, .csv and .tex; default RUN/measured/evaluate.
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: EvaluateOptions) -> None:
    """Prints the table."""
    import jaxvae
    from jaxvae.commands.parts.requirements import need_encoder
    from jaxvae.evaluation.bounds.report import evaluate
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.results import Table, note
    from jaxvae.networks.precision import matmul_precision
    from jaxvae.runs.held_out import bin_width, load_held_out, setting_of
    from jaxvae.runs.tables.columns import in_own_units

    model, params, config = jaxvae.load(
        options.run, recipe=options.recipe, step=options.step, allow_changes=options.allow_changes
    )
    if model.evidence == "none":
        need_encoder(options.run, model, "it says nothing of an example that could be measured")
    test = load_held_out(config.data, allow_changes=options.allow_changes)
    setting = setting_of(config.data, test, options.limit)
    with matmul_precision(options.precision), progress_bar(f"{test.noun}s", setting.examples) as progress:
        rows = evaluate(
            model,
            params,
            test.given(model),
            setting,
            samples=options.samples,
            bin_width=bin_width(config),
            progress=progress,
        )
    rows = in_own_units(rows, test.columns)
    cells = [(row.name, row, row.unit, row.setting.evidence, row.setting.samples) for row in rows]
    names = (f"per {test.noun}", "mean \N{PLUS-MINUS SIGN} s.e.", "unit", "of log p(x)", "samples")
    words = str(rows[0].setting._replace(samples="", evidence=""))
    caption = f"{words.rpartition(', sha256')[0]}\nsha256 {setting.sha256}"
    if len({row.setting.protocol for row in rows}) > 1:
        caption += f"\nown units: of the {rows[1].setting.protocol}, log p(x) - sum of log std; the others of x"
    table = Table(options.run, names, cells, caption)
    if options.json:
        note(table)
        found = {
            row.name: {
                "mean": row.estimate.mean,
                # JSON has no NaN; a count of latents has no standard error.
                "standard_error": row.estimate.standard_error if row.estimate.standard_error >= 0 else None,
                "unit": row.unit,
                "samples": row.setting.samples,
                "evidence": row.setting.evidence,
                **({} if row.setting.protocol == setting.protocol else {"protocol": row.setting.protocol}),
            }
            for row in rows
        }
        whole = rows[0].setting._asdict() | {"run": options.run, "step": options.step, "estimates": found}
        del whole["samples"], whole["evidence"]  # of each row
        print(json.dumps(whole, indent=2))
        return
    print_table(*table)


if __name__ == "__main__":
    launch(main, parser(EvaluateOptions))
