"""Trains trials that Optuna proposes, several at a time in one program, and says which is best.

    python -m experiments.search digits --optim.lr 1e-4:1e-2:log --objective.beta 0.5:4 --validation-fraction 0.2 \
        --epochs 60 --trials 32

Time: not measured whole; 6 trials of 4 epochs, 3 at a time, take 66 s of processor time, most of it compiling.
"""

import math
from typing import TYPE_CHECKING

from jaxvae.commands.search.line import SearchOptions

if TYPE_CHECKING:
    from pathlib import Path

    from jaxvae.runs.sweeps.searching import Searched
    from jaxvae.runs.sweeps.space import Space

SHOWN = 10  # trials in the table


def main(options: SearchOptions) -> int:
    """Trains what is not trained yet, prints the best trials, writes members.json, draws a picture of each option."""
    from jaxvae.evaluation.measured import print_table
    from jaxvae.files import write_json
    from jaxvae.runs.sweeps.results import in_words, results_of, rows_of
    from jaxvae.runs.sweeps.searching import rounded, search
    from jaxvae.runs.sweeps.space import import_optuna

    import_optuna().logging.set_verbosity(import_optuna().logging.WARNING)
    found = search(
        options.config,
        options.space,
        options.workdir,
        trials=options.trials,
        together=options.together,
        storage=options.storage,
        name=options.study,
    )
    judged, results = results_of(found.folder, found.members)
    if found.signal:
        done = f"{len(results)} of {options.trials} trials are done here, and all that was trained is saved"
        print(f"Stopped by a signal; {done} in {found.folder}. The same command goes on.")
        return 128 + found.signal
    results = sorted(results, key=lambda one: math.inf if one.validation is None else one.validation)
    if not results:
        print(f"no trial of this folder says anything that could be compared; its runs are in {found.folder}")
        return 0
    write_json(found.folder / "members.json", rows_of(results))
    title = f"{found.folder}: the best of {len(results)} trials by the validation images, nats"
    caption = "less is better; errors over test examples; what is best by chance among many is flattered by them"
    rows = [
        (
            result.name,
            in_words({path: rounded(value) for path, value in result.values.items()}),
            f"{result.validation:.2f}",
            result.test.text(unit="nats"),
        )
        for result in results[:SHOWN]
    ]
    print_table(title, ("trial", "values", "validation", f"test {judged}".strip()), rows, caption)
    for path in draw(found, options.space):
        print(path)
    return 0


def draw(found: "Searched", space: "Space") -> "list[Path]":
    """A picture for each number that is searched, of all trials of the study, and where they are."""
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.plots.figures import save

    done = [trial for trial in found.study.get_trials(deepcopy=False) if trial.value is not None]
    pictures = []
    for path in found.members[0].values:
        if not all(isinstance(trial.params.get(path), int | float) for trial in done):
            continue
        values = [trial.params[path] for trial in done]
        y = "nats per validation example"
        figure, ax = plots.trial_points(values, [trial.value for trial in done], x=path, y=y)
        if getattr(space[path], "log", False):
            ax.set_xscale("log")
        pictures.append(save(figure, found.folder / f"{path}.png"))
    return pictures
