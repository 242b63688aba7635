"""artifex's VAE with the networks that its documentation shows, in a plain jitted loop over its loss.

Source: https://github.com/avitai/artifex (pip install avitai-artifex), `VAEConfig`: 256 and 128 units each way. Its
usual error is a sum of squares and its encoder has a batch norm; here the error is its cross-entropy, as of the other
peers, and there is no norm.
"""

import functools
from importlib.metadata import version
from typing import Any

import numpy as np

HIDDEN = (256, 128)


class ArtifexVAE:
    """As worker.py wants a peer; artifex is imported when one is made."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, seed: int):
        import jax
        import optax
        from artifex.generative_models.core.configuration.network_configs import DecoderConfig, EncoderConfig
        from artifex.generative_models.core.configuration.vae_config import VAEConfig
        from artifex.generative_models.core.losses.vae import vae_reconstruction_loss
        from artifex.generative_models.models.vae import VAE
        from flax import nnx

        common: dict[str, Any] = {"latent_dim": latent_dim, "activation": "relu"}
        units: dict[str, Any] = {"hidden_dims": HIDDEN, "use_batch_norm": False}
        encoder = EncoderConfig(name="encoder", input_shape=shape, **units, **common)
        decoder = DecoderConfig(name="decoder", output_shape=shape, hidden_dims=HIDDEN, **common)
        config = VAEConfig(name="vae", encoder=encoder, decoder=decoder, encoder_type="dense")
        self.vae: Any = VAE(config, rngs=nnx.Rngs(params=seed, sample=seed + 1))
        self.optimizer: Any = nnx.Optimizer(self.vae, optax.adam(1e-3), wrt=nnx.Param)
        self.jax = jax
        self.numbers = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(self.vae, nnx.Param)))
        self.about = f"the VAE of artifex {version('avitai-artifex')}, 256 and 128 units (jax {jax.__version__})"

        cross_entropy = functools.partial(vae_reconstruction_loss, loss_type="bce")

        @nnx.jit
        def step(vae: Any, optimizer: Any, x: Any) -> None:
            def loss(vae: Any) -> Any:
                return vae.loss_fn({"inputs": x}, vae(x), reconstruction_loss_fn=cross_entropy)["total_loss"]

            optimizer.update(vae, nnx.grad(loss)(vae))

        self._step = step
        self._encode = nnx.jit(lambda vae, x: vae.encode(x))
        self._decode = nnx.jit(lambda vae, z: vae.decode(z))

    def step(self, x: np.ndarray) -> None:
        """Trains on a batch."""
        self._step(self.vae, self.optimizer, x)
        self.jax.block_until_ready(self.optimizer.step[...])

    def encode(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of q(z | x)."""
        mean, log_var = self._encode(self.vae, x)
        return np.asarray(mean), np.exp(0.5 * np.asarray(log_var))

    def decode(self, z: np.ndarray) -> np.ndarray:
        """E[x | z]."""
        return np.asarray(self._decode(self.vae, z))


make = ArtifexVAE
