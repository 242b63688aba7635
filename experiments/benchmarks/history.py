"""Speed over time: one line of ratios for each measured commit, and a picture of all of them.

    python -m experiments.benchmarks.history --model mlp --batch 128

Runs the contenders of `experiments.benchmarks.speed` that are installed, in turns, and appends a line to
experiments/benchmarks/history.jsonl: the machine, the commit and by how much jaxvae is faster than each of them (the
lowest, the median, the highest of the rounds). Seconds of different machines say nothing about a commit, so that none
are kept.

Time: a minute or two for mlp. Expected: level ratios; a fall on one kind of machine is a step that became slower.
Obtained on a busy AMD EPYC, one core each, 12,800 examples: 1.06 times the bare scan (1.01 to 1.31), 0.93 times numpyro
(0.79 to 1.04): so wide that no change of less than a fifth could be seen.
"""

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.benchmarks import speed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HISTORY = Path(__file__).with_name("history.jsonl")
PICTURE = Path(__file__).parents[2] / ".github" / "gallery" / "speed_history.png"


@dataclass(frozen=True)
class Options(speed.Options):
    """What to measure.

    Attributes:
        note: of what may have disturbed it.
        draw_only: draw what was measured before.
    """

    note: str = ""
    draw_only: bool = False


def machine() -> dict[str, Any]:
    """The processor, its cores that may be used, and whether it has units for products of matrices (AMX)."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    said = dict(reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = said.get("model name", platform.processor() or platform.machine())
    return {"processor": name, "cores": cores, "matrix_units": "amx_tile" in said.get("flags", "").split()}


def entry(rows: Sequence[Mapping[str, Any]], options: Options) -> dict[str, Any]:
    """A line of the history, from the rows of `speed.summary`.

    Example:
        >>> rows = [{"contender": name, "ratio": [0.9, 1, 1.1]} for name in ("jaxvae_train", "bare_scan")]
        >>> entry(rows, Options())["ratios"]
        {'bare_scan': [0.9, 1, 1.1]}
    """
    import jax

    commit = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], cwd=speed.ROOT, capture_output=True, text=True)
    setting = {name: getattr(options, name) for name in ("model", "batch", "rounds", "precision", "processors", "note")}
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": machine(),
        "jax": jax.__version__,
        **setting,
        "examples": (options.examples or speed.EXAMPLES[options.model]) // options.batch * options.batch,
        "ratios": {row["contender"]: [round(value, 3) for value in row["ratio"]] for row in rows[1:]},
    }


def read(path: Path = HISTORY) -> list[dict[str, Any]]:
    """All lines, the oldest first."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def draw(entries: Sequence[Mapping[str, Any]]) -> "Figure":
    """The ratios of each model, commit by commit: a colour for each contender, a mark for each kind of machine."""
    import numpy as np

    from jaxvae.evaluation.plots.figures import BRIGHT, MUTED, SMALL, new_axes, style

    models = sorted({str(line["model"]) for line in entries}, reverse=True)
    figure, axes = new_axes(8.0, 4.2, columns=len(models))
    kinds = list(dict.fromkeys(_kind(line["machine"]) for line in entries))
    names = list(dict.fromkeys(name for line in entries for name in line["ratios"]))
    for ax, model in zip([axes] if len(models) == 1 else axes, models, strict=True):
        lines = [line for line in entries if line["model"] == model]
        for beside, (name, colour) in enumerate(zip(names, BRIGHT, strict=False)):
            for kind, mark in zip(kinds, "osD^v", strict=False):
                here = [(at, line) for at, line in enumerate(lines)
                        if name in line["ratios"] and _kind(line["machine"]) == kind]  # fmt: skip
                label: str | None = f"{name}, {kind}"
                for batch in dict.fromkeys(line["batch"] for _, line in here):  # no line joins two batches
                    of = [(at, line["ratios"][name]) for at, line in here if line["batch"] == batch]
                    low, middle, high = zip(*[ratio for _, ratio in of], strict=True)
                    errors = np.abs(np.array([low, high]) - middle)
                    places = [at + 0.08 * (beside - len(names) / 2) for at, _ in of]
                    options: Any = {"color": colour, "capsize": 3, "markersize": 5, "linewidth": 1.2, "label": label}
                    ax.errorbar(places, middle, errors, fmt=f"{mark}-", **options)
                    label = None
        ax.axhline(1.0, color=MUTED, linewidth=0.8, linestyle="--")
        said = [f"{line['commit'][:7]}\n{line['date'][2:]}\nbatch {line['batch']}" for line in lines]
        ax.set_xticks(range(len(lines)), said)
        ax.set_xlim(-0.5, len(lines) - 0.5)
        ax.set_ylim(0, None)
        style(ax, title=f"{model}: jaxvae is faster by", y="ratio of examples/s")
        ax.legend(
            fontsize=SMALL, labelcolor=MUTED, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2
        )
    return figure


def _kind(machine: Mapping[str, Any]) -> str:
    return f"{machine['processor']}{' with matrix units' if machine['matrix_units'] else ''}"


def main() -> None:
    """Measures, appends, draws."""
    import tyro

    from jaxvae.evaluation.plots.figures import save

    options = tyro.cli(Options, description=__doc__)
    if not options.draw_only:
        rows = speed.summary(speed.measure(options))
        speed.show(rows, options)
        with HISTORY.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry(rows, options)) + "\n")
    print(save(draw(read()), PICTURE))


if __name__ == "__main__":
    main()
