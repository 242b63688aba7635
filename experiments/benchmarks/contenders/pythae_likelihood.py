"""pythae: its VAE and its `get_nll`, 500 samples at a time."""

from collections.abc import Callable

import numpy as np
import torch
from pythae.models import VAE, VAEConfig

from experiments.benchmarks.contenders.pythae_trainer import Decoder, Encoder
from experiments.benchmarks.contenders.torch_networks import DEVICE, LATENT, networks

BATCH = 500


def make(images: np.ndarray, model: str, samples: int) -> Callable[[], float]:
    """Returns round() -> mean -log p(x) in nats; images are uint8 [N, 28, 28, 1], the weights are fresh ones."""
    torch.set_num_threads(2)
    nets = networks(model)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce")
    vae = VAE(config, Encoder(nets), Decoder(nets)).eval()
    data = torch.from_numpy(images).to(DEVICE).permute(0, 3, 1, 2).float().div(255).contiguous()

    def once() -> float:
        with torch.no_grad():
            return -float(vae.get_nll(data, n_samples=samples, batch_size=min(samples, BATCH)))

    return once
