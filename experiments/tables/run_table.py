"""A table of runs: each trained in a folder of its own, all measured on the same draw of the test images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

COLUMNS = ("run", "-IWAE bound, nats", "-ELBO", "bound, higher than the first's by", "epochs", "published")


class Trained(NamedTuple):
    """The runs of a row, one for each seed.

    Attributes:
        model: of them all.
        params: of each.
        epochs: that they trained.
        signal: that interrupted them, or 0.
    """

    model: Any
    params: list[Any]
    epochs: float
    signal: int


def alone(config: Any, folder: Path) -> Trained:
    """The run of a config, in its folder."""
    from jaxvae.runs.train import train_run

    done = train_run(config, folder)
    return Trained(done.model, [done.params], done.summary.get("epochs", 0.0), done.signal)


def of_seeds(config: Any, folder: Path, seeds: Sequence[int]) -> Trained:
    """The runs of a config with several seeds, which are one axis of one program: members of a sweep in its folder.

    Raises:
        FloatingPointError: if a member had too many steps in a row that were not finite.
    """
    from jaxvae.runs.loading import load
    from jaxvae.runs.sweeps.sweeping import sweep

    done = sweep(config, {"seed": list(seeds)}, folder, at_once=len(seeds))
    for name, why in done.stopped.items():
        raise FloatingPointError(f"{folder}, {name}: {why}.")
    if done.signal:
        return Trained(None, [], 0.0, done.signal)
    runs = [load(folder, member=member.name) for member in done.members]
    return Trained(runs[0].model, [run.params for run in runs], config.epochs, 0)


def run_cells(
    configs: Mapping[str, Any],
    workdir: str,
    *,
    samples: int,
    limit: int | None,
    published: Mapping[str, float | None],
    baseline: str | None = None,
    seeds: Sequence[int] | None = None,
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
        seeds: train each row with each of them, as one program; of several the errors are over seeds, and differences
            seed by seed. None trains the config's own seed by itself.

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

    checked = {name: validate(config) for name, config in configs.items()}
    test = load_run_data(next(iter(checked.values()))).test
    x = test.x[:limit]

    def over(values: Sequence[np.ndarray]) -> Any:
        """Mean and error over test images, or over seeds where there are several."""
        return mean_and_error(values[0] if len(values) == 1 else [one.mean() for one in values])

    which = "all" if len(x) == len(test.x) else "the first"  # which is as good as random: TFDS shuffles by a hash
    setting = (
        f"K = {samples}, {which} {len(x)} test images, {test.protocol}, seed {test.seed}, sha256 {test.sha256[:12]}"
    )
    if seeds is not None and len(seeds) > 1:
        setting += f"; means over {len(seeds)} seeds, errors over them"
    rows: list[tuple[Any, ...]] = []
    first: list[np.ndarray] = []
    for name, config in checked.items():
        folder = Path(workdir) / name
        trained = alone(config, folder) if seeds is None else of_seeds(config, folder, seeds)
        if trained.signal:
            return 128 + trained.signal
        key, found = jax.random.key(test.seed), []
        for params in trained.params:
            with progress_bar(f"measuring {name}", len(x)) as progress:
                found.append(per_example(trained.model, params, key, x, samples=samples, progress=progress))
        bounds = [values["iwae"] for values in found]
        if name == baseline:
            first = bounds
        gain = ""
        if first and name != baseline:
            gain = over([mine - other for mine, other in zip(bounds, first, strict=True)]).text(2, "nats")
        paper, elbo = published.get(name), np.mean([summarize(values)["elbo"].mean for values in found])
        row = (name, negative(over(bounds)).text(2), number(-float(elbo), ".2f", "nats"), gain)
        told = "" if paper is None else number(paper, ".2f", "nats", evidence="importance bound")
        rows.append((*row, number(trained.epochs, "g"), told))
        print_table(setting, COLUMNS, rows)
    return 0
