"""Trains a grid of options and seeds as one program, and says which values are best and how sure that is.

    python -m experiments.sweep digits --seed 0:4 --objective.beta 0.5 1 2 4 --epochs 60 --workdir runs/sweep

Time: 44 s of processor time for 16 members, where one run of 60 epochs takes 16 s. Expected: -ELBO is lowest at beta
1, of which it is the bound. Obtained, over 4 seeds: 165.6 +- 0.1 at 1; seed by seed 2.2 +- 0.3 more at 0.5, 2.4 +- 0.1
at 2 and 10.3 +- 0.3 at 4.
"""

from typing import TYPE_CHECKING

from jaxvae.commands.sweep.line import SweepOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jaxvae.runs.sweeps.results import Result
    from jaxvae.runs.sweeps.sweeping import Swept


def main(options: SweepOptions) -> int:
    """Trains what is not trained yet, prints the table, writes sweep.json, and draws a picture for each number."""
    from jaxvae.evaluation.measured import print_table
    from jaxvae.files import write_json
    from jaxvae.runs.choices.data import noun
    from jaxvae.runs.sweeps.results import best_in_words, in_words, points_of, results_of, rows_of
    from jaxvae.runs.sweeps.sweeping import sweep

    swept = sweep(options.config, options.grid, options.workdir, at_once=options.at_once, halving=options.halving)
    judged, results = results_of(swept.folder, swept.members)
    if swept.signal:
        done = f"{len(results)} of {len(swept.members)} members are done, and all that was trained is saved"
        print(f"Stopped by a signal; {done} in {swept.folder}. The same command goes on.")
        return 128 + swept.signal
    for name, why in swept.stopped.items():
        print(f"{name}: {why}.")
    if not results:
        print(f"no member says anything that could be compared; all runs are in {swept.folder}")
        return 0
    write_json(swept.folder / "members.json", rows_of(results))
    if not judged:
        print(
            f"The nats of these members are not alike: other test images, likelihoods, or bounds beside exact numbers. "
            f"No table compares them; {swept.folder / 'members.json'} has those of each."
        )
        return 0
    rows = [
        (
            in_words(point.values),
            point.estimate.text(unit="nats"),
            point.more and point.more.text(unit="nats"),
        )
        for point in points_of(results)
    ]
    seeds = len({result.values.get("seed") for result in results})
    of = f"errors over {seeds} seeds" if seeds > 1 else "of one seed, errors over test examples"
    title = f"{swept.folder}: {judged} of the test {noun(options.config.data.kind, 2)}, nats"
    caption = f"{of}; differences seed by seed; less is better"
    print_table(title, ("values", judged, "more than the first"), [(a, b, c or "") for a, b, c in rows], caption)
    behind = _print_left_behind(swept) if swept.dropped else 0
    print(best_in_words(results, judged, behind))
    for path in draw(swept.folder, results, judged):
        print(path)
    return 0


def _print_left_behind(swept: "Swept") -> int:
    """Prints the points that halving left behind, those that went farthest first, and returns how many."""
    from jaxvae.evaluation.measured import print_table
    from jaxvae.runs.sweeps.halving import left_behind
    from jaxvae.runs.sweeps.record import read_record
    from jaxvae.runs.sweeps.results import in_words

    rows = [
        (in_words({path: value for path, value in some[0].values.items() if path != "seed"}), str(epoch), f"{nats:.2f}")
        for epoch, nats, some in left_behind(read_record(swept.folder), swept.members)
    ]
    caption = "means over seeds; their runs wait in their folders, unmeasured"
    print_table("left behind", ("values", "after epoch", "nats on the validation images"), rows, caption)
    return len(rows)


def draw(folder: "Path", results: "Sequence[Result]", judged: str) -> "list[Path]":
    """A picture for each number that is varied, and where they are."""
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.plots.figures import save
    from jaxvae.runs.sweeps.results import lines_of

    found = []
    for path in results[0].values:
        lines = lines_of(results, path)
        if path == "seed" or lines is None:
            continue
        figure, _ = plots.value_lines(lines, x=path, y=f"{judged}, nats per example")
        found.append(save(figure, folder / f"{path}.png"))
    return found
