"""This library's `per_example`, as a user calls it."""

from collections.abc import Callable

import jax
import numpy as np

import jaxvae

LATENT = 20


def make(images: np.ndarray, model: str, samples: int) -> Callable[[], float]:
    """Returns round() -> mean -log p(x) in nats; images are uint8 [N, 28, 28, 1], the weights are fresh ones."""
    shape = images.shape[1:]
    encoder, decoder = {
        "mlp": lambda: (jaxvae.MLPEncoder(LATENT), jaxvae.MLPDecoder(shape)),
        "conv": lambda: (jaxvae.ConvEncoder(LATENT), jaxvae.ConvDecoder(shape)),
    }[model]()
    vae = jaxvae.vae(encoder, decoder, event_shape=shape, latent_dim=LATENT)
    x = images.astype(np.float32) / np.float32(255)
    params = jax.jit(vae.init)(jax.random.key(0), x[0])

    def once() -> float:
        values = jaxvae.per_example(vae, params, jax.random.key(1), x, samples=samples)
        return -float(values["iwae"].mean())

    return once
