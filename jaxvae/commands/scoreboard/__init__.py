"""Trains one contender of each family on the same data for the same processor time, and scores all in one table.

    python -m experiments.scoreboard digits --budget 60s
    python -m experiments.scoreboard digits --budget 60s --only kde mixture ppca autoencoder
    python -m experiments.scoreboard digits --only vae flow --also my_file.py:make

All score the same whole numbers: the digits by their 17 levels, MNIST and Fashion-MNIST in black and white, one fixed
draw in the test. A contender is a run in WORKDIR/NAME, and the same command goes on with what was stopped.

Time: 20 minutes of processor time for the first command. Expected: nobody is best in every column. Obtained, -log P of
297 digits in nats, Frechet distance and coverage: real digits in the place of draws 2.9 +- 2.4 and 0.997 +- 0.006; ten
Gaussians at most 121.1 +- 2.3, 6.4 +- 2.9, 0.993 +- 0.007; a VAE at most 91.3 +- 0.6, 23 +- 3, 0.80 +- 0.02; a flow at
most 83.0 +- 0.7, 7.8 +- 2.9, 0.980 +- 0.009; a PixelCNN exactly 79.6 +- 0.7, 12.6 +- 1.7, 0.980 +- 0.009; a diffusion
at most 77.8 +- 0.9, 7.8 +- 2.5, 0.976 +- 0.010; a GAN no P, 3.4 +- 1.3, 1.000 +- 0.005. Draws in a second of processor
time: GAN 114,000 +- 9,000, VAE 24,700 +- 800, PixelCNN 3,780 +- 100, flow 1,000 +- 20, diffusion 51 +- 1.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from jaxvae.commands.cli import Workdir

Board = Literal["digits", "mnist", "fashion_mnist"]


@dataclass(frozen=True)
class ScoreboardOptions:
    """One table that judges every family: trained on the same data for the same processor time."""

    data: Annotated[Board, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")] = "digits"
    budget: str = "60s"  # Processor time for the training of each contender: 90s, 2m, 1h.
    only: tuple[str, ...] = ()  # These contenders alone, by name.
    skip: tuple[str, ...] = ()  # All but these.
    also: tuple[str, ...] = ()  # More contenders, FILE.py:FUNCTION, each of which returns a jaxvae.runs.Recipe.
    beside: str | None = None  # A .csv of published numbers to show beside them: name, nats, nats_error, ...
    drawn: tuple[str, ...] = ()  # .npy files of draws of other programs, judged as all draws are.
    python_peers: str | None = None  # A Python that has pythae, Flax or artifex: trains their VAEs too.
    limit: int = 1000  # Only so many test images are scored for log P, picked by a fixed permutation.
    samples: int = 50  # Posterior samples of a bound.
    draws: int = 1000  # Of each contender, which are judged.
    seed: int = 0  # Of everything random.
    workdir: Workdir | None = None  # Folder of the board; by default runs/scoreboard/DATA-BUDGET.
    progress: bool = True  # Show a bar where a contender is trained.


def main(options: ScoreboardOptions) -> int:
    """Trains, scores, prints the table and writes it as scoreboard.json, .md, .html and .png."""
    import shutil
    from pathlib import Path

    from jaxvae.runs.scoreboard.beside import published
    from jaxvae.runs.scoreboard.board import run_scoreboard
    from jaxvae.runs.scoreboard.budget import seconds_of
    from jaxvae.runs.scoreboard.kept import Interrupted
    from jaxvae.runs.scoreboard.ready import Rules

    if options.python_peers is not None and shutil.which(options.python_peers) is None:
        raise FileNotFoundError(
            f"there is no program {options.python_peers}, expected --python-peers to name a Python, as venv/bin/python."
        )
    rules = Rules(
        options.data,
        seconds_of(options.budget),
        options.seed,
        options.limit,
        options.samples,
        options.draws,
        options.progress,
    )
    chosen, others = chosen_of(options), [] if options.beside is None else published(options.beside)
    folder = Path(options.workdir or f"runs/scoreboard/{options.data}-{options.budget}")
    try:
        rows = run_scoreboard(rules, chosen, folder, drawn=options.drawn, python_peers=options.python_peers)
    except Interrupted as stop:
        print(f"Stopped by a signal; what is done is in {folder}. The same command goes on.")
        return 128 + stop.signal
    write_board(folder, rules, rows + others)
    return 0


def chosen_of(options: ScoreboardOptions) -> list[Any]:
    """The contenders that are asked for, in the order of the table.

    Raises:
        ValueError: for a name that no contender has, or a file that is none.
    """
    from pathlib import Path

    from jaxvae.runs.configs.names import unknown
    from jaxvae.runs.configs.recipes import import_function
    from jaxvae.runs.scoreboard.contenders import Contender, contenders_of

    known = contenders_of(options.data)
    for name in (*options.only, *options.skip):
        if name not in known:
            raise ValueError(unknown("contender", name, known))
    names = [name for name in known if (not options.only or name in options.only) and name not in options.skip]
    own = []
    for text in options.also:
        import_function(text)  # refused before anything is trained
        file, _, function = text.rpartition(":")
        own.append(Contender(f"{Path(file).stem}_{function}", "own", f"of {text}", recipe=text))
    return [known[name] for name in names] + own


def write_board(folder: Any, rules: Any, rows: Any) -> None:
    """Prints the table in parts and writes the board's files."""
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.measured import print_table
    from jaxvae.files import write_json, write_text
    from jaxvae.runs.scoreboard.page import board_page
    from jaxvae.runs.scoreboard.words import PARTS, heading, markdown, printed, remarks

    title = f"{rules.data}: one contender of each family, {rules.seconds:g} s of processor time each"
    for part, names in PARTS.items():
        lines = [(row.name, *(printed(row, name) for name in names)) for row in rows]
        print_table(f"{title}: {part}", ("contender", *map(heading, names)), lines)
    for one in remarks(rows):
        print(one)
    write_json(folder / "scoreboard.json", [row.as_json() for row in rows])
    write_text(folder / "scoreboard.md", markdown(title, rows))
    lead = f"Trained on {rules.data} for {rules.seconds:g} s of processor time each, seed {rules.seed}; scored alike."
    write_text(folder / "scoreboard.html", board_page(f"Scoreboard of {rules.data}", lead, rows))
    plots.save(plots.board_chart(rows, title=title)[0], folder / "scoreboard.png")
    print(folder / "scoreboard.html")
