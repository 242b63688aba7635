"""Runs side by side: their numbers, how they differ image by image, and in which values of their configs.

    python -m experiments.train digits --workdir runs/a
    python -m experiments.train digits --workdir runs/b --objective.bound iwae --objective.samples 5
    python -m experiments.compare runs/a runs/b

Time: 6 s on two cores for two runs of the digits. Expected: the error of a difference is a fraction of those of the
two numbers, since the same test images are easy or hard for both.
"""

from dataclasses import dataclass
from typing import Annotated

import tyro

from jaxvae.commands.cli import OwnRecipe, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.commands.parts.progress import progress_bar


@dataclass(frozen=True)
class CompareOptions:
    """A table of runs, paired differences to the first of them, and the values in which their configs differ."""

    runs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN RUN ...", help="Two or more run folders.")
    ]
    samples: int = 50  # Posterior samples K per image of the importance-weighted bound.
    limit: int | None = None  # Only so many test images, picked by a fixed permutation.
    output: str | None = None  # Folder for results.json, .csv and .tex; default measured/compare in the first run.
    recipe: OwnRecipe = None  # The function that made those of the runs that are of your own.
    allow_changes: Switch = False  # Go on although a config.json or the images are not those of its run.


def main(options: CompareOptions) -> None:
    """Prints the tables."""
    from jaxvae.evaluation.measured import print_table
    from jaxvae.runs.comparison import compare_runs
    from jaxvae.runs.configs.fields import short, words

    if len(options.runs) < 2:
        raise ValueError(f"there is one run, {' '.join(options.runs)}, expected two or more: compare runs/a runs/b.")
    with progress_bar("examples", None) as progress:
        found = compare_runs(
            options.runs,
            samples=options.samples,
            limit=options.limit,
            allow_changes=options.allow_changes,
            recipe=options.recipe,
            progress=progress,
        )
    rows = [{row.name: row for row in rows} for rows in found.rows.values()]
    quantities = list(dict.fromkeys(name for run in rows for name in run))
    first = next(iter(found.rows))
    cells, noun = [], found.noun
    for name in quantities:
        found_here = [run[name] for run in rows if name in run]
        units = " / ".join(dict.fromkeys(one.unit for one in found_here))  # "of 3 / of 8" latents
        says = [one.setting.evidence for one in found_here]  # of each run in turn where they differ
        evidence = says[0] if len(set(says)) == 1 else " / ".join(says)
        cells.append((name, *(run.get(name, "") for run in rows), units, evidence))
    setting = found.rows[first][0].setting._replace(samples="", evidence="")
    caption = "" if found.apart else f"{setting}; mean \N{PLUS-MINUS SIGN} standard error"
    print_table(f"runs on their test {noun}s", (f"per {noun}", *found.rows, "unit", "of log p(x)"), cells, caption)
    if found.differences:
        paired = [{row.name: row for row in rows} for rows in found.differences.values()]
        names = list(dict.fromkeys(name for run in paired for name in run))
        lines = [(name, *(run.get(name, "") for run in paired)) for name in names]
        title = f"more than {first}, {noun} by {noun}, nats"
        print_table(title, ("quantity", *found.differences), lines, "of what begins with a minus, less is better")
    for why in found.apart.values():
        print(why)
    fields = [(field, *(short(words(value)) for value in values)) for field, values in found.fields.items()]
    if fields:
        print_table("values in which they differ", ("field", *found.rows), fields)
    else:
        print("Their configs do not differ.")


if __name__ == "__main__":
    launch(main, parser(CompareOptions))
