"""Denoising autoencoders: the encoder sees a corrupted input, the target is the clean one."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import finite_number
from jaxvae.models.autoencoders.deterministic import Corruption, autoencoder
from jaxvae.models.records import Key, Model, Network

Array = jax.Array


def masking(probability: float = 0.25) -> Corruption:
    """Sets each element to 0 with the given probability; the others are left as they are.

    Source: Vincent et al., 2008, doi 10.1145/1390156.1390294.

    Example:
        >>> masking(1.0)(jax.random.key(0), jnp.ones(3)).tolist()
        [0.0, 0.0, 0.0]
    """
    finite_number("probability", probability, high=1.0)

    def corrupt(key: Key, x: Array) -> Array:
        return jnp.where(jax.random.bernoulli(key, probability, x.shape), 0.0, x)

    return corrupt


def gaussian_noise(std: float = 0.3) -> Corruption:
    """Adds N(0, std^2) to each element; the result is not clipped.

    Source: Vincent et al., 2010, "Stacked denoising autoencoders", JMLR 11, section 3.3.

    Example:
        >>> gaussian_noise(0.0)(jax.random.key(0), jnp.ones(3)).tolist()
        [1.0, 1.0, 1.0]
    """
    finite_number("std", std)

    def corrupt(key: Key, x: Array) -> Array:
        return x + std * jax.random.normal(key, x.shape, x.dtype)

    return corrupt


def salt_and_pepper(probability: float = 0.25) -> Corruption:
    """Sets each element, with the given probability, to 0 or 1 by the toss of a fair coin.

    Source: Vincent et al., 2010, "Stacked denoising autoencoders", JMLR 11, section 3.3.

    Example:
        >>> sorted(set(salt_and_pepper(1.0)(jax.random.key(0), jnp.full(9, 0.5)).tolist()))
        [0.0, 1.0]
    """
    finite_number("probability", probability, high=1.0)

    def corrupt(key: Key, x: Array) -> Array:
        key_hit, key_coin = jax.random.split(key)
        coin = jax.random.bernoulli(key_coin, 0.5, x.shape).astype(x.dtype)
        return jnp.where(jax.random.bernoulli(key_hit, probability, x.shape), coin, x)

    return corrupt


def denoising_autoencoder(
    encoder: Network, decoder: Network, *, corruption: Corruption | None = None, **options: Any
) -> Model:
    """An autoencoder trained on log p(x | z) with z = encoder(corruption(x)): it must undo the corruption.

    Only `terms` corrupts; `posterior` encodes what it is given, so that a noisy x is cleaned by
    `likelihood.mean(params, posterior.mean(params, x))`.

    Args:
        encoder, decoder, options: as `autoencoder`.
        corruption: (key, encoder's input) -> encoder's input, by default `masking(0.25)`.

    Raises:
        ValueError, TypeError: as `autoencoder`.

    Source: Vincent et al., 2008, doi 10.1145/1390156.1390294.

    Example:
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> networks, corruption = (MLPDeterministicEncoder(2), MLPDecoder((4, 1))), salt_and_pepper()
        >>> model = denoising_autoencoder(*networks, corruption=corruption, event_shape=(4, 1), latent_dim=2)
        >>> sorted(model.init(jax.random.key(0), jnp.zeros((4, 1))))
        ['decoder', 'encoder']
    """
    if corruption is not None and not callable(corruption):
        raise TypeError(f"corruption is {corruption!r}, expected a function (key, x) -> x such as masking(0.25).")
    corruption = masking() if corruption is None else corruption
    return autoencoder(encoder, decoder, corruption=corruption, **options)
