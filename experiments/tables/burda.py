"""The table of Burda, Grosse and Salakhutdinov (2016): VAE and IWAE on MNIST with 1, 5 and 50 samples, and DReG.

    python -m experiments.burda                        # laptop mode: 3 of the 8 stages, 13 epochs instead of 3,280
    python -m experiments.burda --stages 8             # the paper's schedule; a GPU is worth having

Each cell is a run of its own in runs/burda, so the same command goes on where it was stopped. Networks 784-200-200-50
(one layer) or 784-200-200-100, 100-100-100-50 (two), tanh; batch 20; Adam with stage i of 3^(i-1) epochs at
1e-4 x round(10^(1-(i-1)/7), 1); decoder bias at the data mean; pixels drawn anew at every step; IW-5000 on one fixed
draw of the test images.

Expected: the published numbers below with --stages 8, which has not been run. Obtained with --stages 2 (4 epochs, about
an hour of processor time for all cells), IW-5000 of 1,000 test images, each +- 0.9 nats, most of which the cells share:

                 k = 1     k = 5    k = 50
    VAE, 1      106.64    104.49    104.35
    IWAE, 1               105.39    104.08    DReG 103.08
    VAE, 2      107.69    103.89    102.24
    IWAE, 2               105.81    104.36    DReG 102.65

So early the IWAE of 5 samples is behind the VAE with 5, whose gradient is less noisy; DReG is ahead of every IWAE.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from experiments.tables.run_table import run_cells
from jaxvae.commands.cli import Switch, parser
from jaxvae.commands.launch import launch

Cell = Literal[
    "vae-1-k1", "vae-1-k5", "vae-1-k50", "iwae-1-k5", "iwae-1-k50", "dreg-1-k50",
    "vae-2-k1", "vae-2-k5", "vae-2-k50", "iwae-2-k5", "iwae-2-k50", "dreg-2-k50",
]  # fmt: skip

# Nats of the paper's Table 1; an IWAE of one sample is the VAE. DReG: Tucker et al., 2018, arXiv 1810.04152, only draws
# its curve, so no number is put beside it.
PUBLISHED: dict[str, float | None] = {
    "vae-1-k1": 86.76, "vae-1-k5": 86.47, "vae-1-k50": 86.35, "iwae-1-k5": 85.54, "iwae-1-k50": 84.78,
    "dreg-1-k50": None, "vae-2-k1": 85.33, "vae-2-k5": 85.01, "vae-2-k50": 84.78, "iwae-2-k5": 83.89,
    "iwae-2-k50": 82.90, "dreg-2-k50": None,
}  # fmt: skip


@dataclass(frozen=True)
class BurdaOptions:
    """Trains the cells of the table, one after the other, and prints it with the published values beside it."""

    cells: tuple[Cell, ...] = get_args(Cell)  # Which cells: objective, layers, samples.
    stages: int = 3  # Stages of the schedule: 8 are the paper's 3,280 epochs, 3 are 13 epochs.
    samples: int = 5000  # K of the IWAE bound on the test images.
    limit: int | None = 1000  # Test images, from the first; None takes all 10,000.
    batch_size: int = 20  # Images per step; the paper's is 20.
    seed: int = 0  # Seed of every run.
    workdir: str = "runs/burda"  # Where the runs of the cells lie.
    progress: Switch = True  # Show progress bars.


def cell_config(cell: str, options: BurdaOptions):
    """The run of one cell."""
    from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig, ObjectiveConfig, OptimConfig
    from jaxvae.training.engine.stages import burda_epochs

    objective, layers, samples = cell.split("-")
    model = ModelConfig(hidden=(200, 200), latent_dim=50, activation="tanh", output_bias="data_mean")
    if layers == "2":
        model = replace(model, kind="hierarchical", first_latents=100, upper_hidden=(100, 100))
    return Config(
        seed=options.seed,
        epochs=burda_epochs(options.stages),
        batch_size=options.batch_size,
        evaluate_every=burda_epochs(options.stages),
        save_every=max(1, burda_epochs(options.stages) // 20),
        progress=options.progress,
        data=DataConfig("mnist"),
        model=model,
        objective=ObjectiveConfig(
            bound="elbo" if objective == "vae" else "iwae",
            samples=int(samples.removeprefix("k")),
            estimator="doubly_reparameterized" if objective == "dreg" else "pathwise",
        ),
        optim=OptimConfig(schedule="burda", lr=1e-3, eps=1e-4),
    )


def main(options: BurdaOptions) -> int:
    """Trains and measures each cell, and prints the table after each."""
    configs: dict[str, Any] = {cell: cell_config(cell, options) for cell in options.cells}
    folder = f"{options.workdir}/{options.stages}-stages"
    return run_cells(configs, folder, samples=options.samples, limit=options.limit, published=PUBLISHED)


if __name__ == "__main__":
    launch(main, parser(BurdaOptions))
