"""pythae's VAE with its own default networks, in a plain loop over its loss, which is faster than its trainer."""

import math
from importlib.metadata import version
from typing import Any

import numpy as np


class PythaeVAE:
    """As worker.py wants a peer; PyTorch is imported when one is made."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, seed: int):
        import torch
        from pythae.models import VAE, VAEConfig

        torch.manual_seed(seed)
        self.torch, self.shape = torch, shape
        sides = (shape[-1], *shape[:-1])  # torch has channels first
        self.vae: Any = VAE(VAEConfig(input_dim=sides, latent_dim=latent_dim, reconstruction_loss="bce"))
        self.optimizer = torch.optim.Adam(self.vae.parameters(), lr=1e-3)
        self.numbers = sum(math.prod(part.shape) for part in self.vae.parameters())
        self.about = f"the VAE of pythae {version('pythae')} with its default networks (torch {torch.__version__})"

    def step(self, x: np.ndarray) -> None:
        """Trains on a batch."""
        self.vae.train()
        loss = self.vae({"data": self._given(x)}).loss
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def encode(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of q(z | x)."""
        with self.torch.no_grad():
            found = self.vae.eval().encoder(self._given(x))
            return found.embedding.numpy(), self.torch.exp(0.5 * found.log_covariance).numpy()

    def decode(self, z: np.ndarray) -> np.ndarray:
        """E[x | z]."""
        with self.torch.no_grad():
            pictures = self.vae.eval().decoder(self.torch.from_numpy(z)).reconstruction
            return pictures.reshape(len(z), self.shape[-1], *self.shape[:-1]).movedim(1, -1).numpy()

    def _given(self, x: np.ndarray) -> Any:
        return self.torch.from_numpy(x).movedim(-1, 1).contiguous()


make = PythaeVAE
