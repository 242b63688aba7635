"""The table of Burda, Grosse and Salakhutdinov (2016): VAE and IWAE on MNIST with 1, 5 and 50 samples, and DReG.

    python -m experiments.burda                        # laptop mode: 3 of the 8 stages, 13 epochs instead of 3,280
    python -m experiments.burda --stages 8             # the paper's schedule; a GPU is worth having

Each cell is a run of its own in runs/burda, so the same command goes on where it was stopped. Networks 784-200-200-50
(one layer) or 784-200-200-100, 100-100-100-50 (two), tanh; batch 20; Adam with stage i of 3^(i-1) epochs at
1e-4 x round(10^(1-(i-1)/7), 1); decoder bias at the data mean; pixels drawn anew at every step; IW-5000 on one fixed
draw of the test images.

Expected: the published numbers below with --stages 8, which has not been run. Obtained with --stages 2 (4 epochs, about
an hour of processor time for all cells), IW-5000 of the first 1,000 test images, each +- 0.9 nats, most of which the
cells share:

                 k = 1     k = 5    k = 50
    VAE, 1      106.64    104.49    104.35
    IWAE, 1               105.39    104.08    DReG 103.08
    VAE, 2      107.69    103.89    102.24
    IWAE, 2               105.81    104.36    DReG 102.65

So early the IWAE of 5 samples is behind the VAE with 5, whose gradient is less noisy; DReG is ahead of every IWAE.
"""

from dataclasses import dataclass
from typing import Any, get_args

from experiments.tables.burda_cells import PUBLISHED, Cell, cell_config
from experiments.tables.run_table import run_cells
from jaxvae.commands.cli import Workdir, parser
from jaxvae.commands.parts.launch import launch


@dataclass(frozen=True)
class BurdaOptions:
    """Trains the cells of the table, one after the other, and prints it with the published values beside it."""

    cells: tuple[Cell, ...] = get_args(Cell)  # Which cells: objective, layers, samples.
    stages: int = 3  # Stages of the schedule: 8 are the paper's 3,280 epochs, 3 are 13 epochs.
    samples: int = 5000  # K of the IWAE bound on the test images.
    limit: int | None = 1000  # The first so many test images, in the hashed order of TFDS; None takes all 10,000.
    batch_size: int = 20  # Images per step; the paper's is 20.
    seed: int = 0  # Seed of every run.
    workdir: Workdir = "runs/burda"  # Where the runs of the cells lie.
    progress: bool = True  # Show progress bars.


def main(options: BurdaOptions) -> int:
    """Trains and measures each cell, and prints the table after each."""
    own = {"stages": options.stages, "batch_size": options.batch_size, "seed": options.seed}
    configs: dict[str, Any] = {cell: cell_config(cell, **own, progress=options.progress) for cell in options.cells}
    folder = f"{options.workdir}/{options.stages}-stages"
    return run_cells(configs, folder, samples=options.samples, limit=options.limit, published=PUBLISHED)


if __name__ == "__main__":
    launch(main, parser(BurdaOptions))
