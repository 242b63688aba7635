"""A table of runs: each trained in a folder of its own, all measured on the same draw of the test images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

COLUMNS = ("run", "-IWAE bound, nats", "-ELBO", "bound, higher than the first's by", "epochs", "published")


def run_cells(
    configs: Mapping[str, Any],
    workdir: str,
    *,
    samples: int,
    limit: int | None,
    published: Mapping[str, float | None],
    baseline: str | None = None,
) -> int:
    """Trains and measures the runs one after the other and prints the table after each.

    Args:
        configs: name of a row -> `Config`; all have the same test data. A run in its folder is gone on with.
        workdir: a run lies in workdir/name.
        samples: K of the IWAE bound.
        limit: how many of the first test images, or None for all.
        published: name of a row -> the nats a paper states, or None.
        baseline: a row that the later ones are compared with, image by image: the standard error of a difference
            between two models on the same images is far below that of either.

    Returns:
        The exit code: 0, or 128 + the signal that stopped a run.
    """
    import jax
    import numpy as np

    from jaxvae.commands.parts.progress import progress_bar
    from jaxvae.evaluation.bounds.likelihood import per_example, summarize
    from jaxvae.evaluation.bounds.report import negative
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.statistics import mean_and_error
    from jaxvae.evaluation.written import number
    from jaxvae.runs.configs.validate import validate
    from jaxvae.runs.held_out import load_run_data
    from jaxvae.runs.train import train_run

    checked = {name: validate(config) for name, config in configs.items()}
    test = load_run_data(next(iter(checked.values()))).test
    x = test.x[:limit]
    which = "all" if len(x) == len(test.x) else "the first"  # which is as good as random: TFDS shuffles by a hash
    setting = (
        f"K = {samples}, {which} {len(x)} test images, {test.protocol}, seed {test.seed}, sha256 {test.sha256[:12]}"
    )
    rows: list[tuple[Any, ...]] = []
    first: np.ndarray | None = None
    for name, config in checked.items():
        outcome = train_run(config, Path(workdir) / name)
        if outcome.signal:
            return 128 + outcome.signal
        key = jax.random.key(test.seed)
        with progress_bar(f"measuring {name}", len(x)) as progress:
            values = per_example(outcome.model, outcome.params, key, x, samples=samples, progress=progress)
        estimates = summarize(values)
        if name == baseline:
            first = values["iwae"]
        gain = "" if first is None or name == baseline else mean_and_error(values["iwae"] - first).text(2, "nats")
        paper = published.get(name)
        row = (name, negative(estimates["iwae"]).text(2), number(-estimates["elbo"].mean, ".2f", "nats"), gain)
        told = "" if paper is None else number(paper, ".2f", "nats", evidence="importance bound")
        rows.append((*row, number(outcome.summary["epochs"], "g"), told))
        print_table(setting, COLUMNS, rows)
    return 0
