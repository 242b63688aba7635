"""The cells of Burda's table: the run of each, and the paper's number."""

from dataclasses import replace
from typing import Literal

from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig, ObjectiveConfig, OptimConfig

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


def cell_config(cell: str, *, stages: int, batch_size: int = 20, seed: int = 0, progress: bool = True) -> Config:
    """The run of one cell, as `experiments.burda` describes it."""
    from jaxvae.training.engine.stages import burda_epochs

    objective, layers, samples = cell.split("-")
    model = ModelConfig(hidden=(200, 200), latent_dim=50, activation="tanh", output_bias="data_mean")
    if layers == "2":
        model = replace(model, kind="hierarchical", first_latents=100, upper_hidden=(100, 100))
    return Config(
        seed=seed,
        epochs=burda_epochs(stages),
        batch_size=batch_size,
        evaluate_every=burda_epochs(stages),
        save_every=max(1, burda_epochs(stages) // 20),
        progress=progress,
        data=DataConfig("mnist", protocol="dynamic"),
        model=model,
        objective=ObjectiveConfig(
            bound="elbo" if objective == "vae" else "iwae",
            samples=int(samples.removeprefix("k")),
            estimator="doubly_reparameterized" if objective == "dreg" else "pathwise",
        ),
        optim=OptimConfig(schedule="burda", lr=1e-3, eps=1e-4),
    )
