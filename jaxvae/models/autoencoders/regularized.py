"""Autoencoders with a penalty on the code, on the encoder's slope, or on the decoder."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import finite_number
from jaxvae.models.autoencoders.deterministic import autoencoder
from jaxvae.models.records import Model, Network, Params
from jaxvae.objectives.codes import jacobian_penalty, l1_penalty

Array = jax.Array
Function = Callable[[Array], Array]


def sparse_autoencoder(encoder: Network, decoder: Network, *, weight: float = 1.0, **options: Any) -> Model:
    """An autoencoder that pays weight * sum_j |z_j| nats for its code.

    A decoder can undo this by growing its weights while the code shrinks: train with weight decay (`adamw`). For a
    target rate of activations instead, give `autoencoder` and `sparse_activations` to `bound_loss`.

    Args:
        encoder, decoder, options: as `autoencoder`.
        weight: nats for each unit of |z|.

    Source: Ng, 2011, "Sparse autoencoder", CS294A lecture notes; the L1 form is Olshausen and Field's, 1996.

    Example:
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> networks = MLPDeterministicEncoder(2, ()), MLPDecoder((4, 1), hidden=())
        >>> model = sparse_autoencoder(*networks, weight=0.5, event_shape=(4, 1), latent_dim=2)
        >>> terms = model.terms(model.init(jax.random.key(0), jnp.ones((4, 1))), jax.random.key(1), jnp.ones((4, 1)))
        >>> bool(terms.penalty == 0.5 * abs(terms.z).sum())
        True
    """
    finite_number("weight", weight)

    def penalty(params: Params, x: Array, z: Array, encode: Function, decode: Function) -> Array:
        return weight * l1_penalty(z)

    return autoencoder(encoder, decoder, penalty=penalty, **options)


def contractive_autoencoder(encoder: Network, decoder: Network, *, weight: float = 0.1, **options: Any) -> Model:
    """An autoencoder that pays weight * |dz / dx|^2 nats, the squared Frobenius norm of its encoder's Jacobian.

    The Jacobian is exact for any encoder, at latent_dim reverse passes for each example. Its input is what the encoder
    sees (pixels in [0, 1]). A code can be shrunk where the decoder grows: Rifai et al. tie the two weights; here
    train with weight decay.

    Args:
        encoder, decoder, options: as `autoencoder`.
        weight: nats for each unit of the squared norm.

    Source: Rifai et al., 2011, "Contractive auto-encoders: explicit invariance during feature extraction", ICML.

    Example:
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> networks = MLPDeterministicEncoder(2, ()), MLPDecoder((4, 1), hidden=())
        >>> model = contractive_autoencoder(*networks, weight=1.0, event_shape=(4, 1), latent_dim=2)
        >>> params = model.init(jax.random.key(0), jnp.ones((4, 1)))
        >>> terms = model.terms(params, jax.random.key(1), jnp.ones((4, 1)))
        >>> bool(abs(terms.penalty - (params["encoder"]["params"]["Dense_0"]["kernel"] ** 2).sum()) < 1e-5)
        True
    """
    finite_number("weight", weight)

    def penalty(params: Params, x: Array, z: Array, encode: Function, decode: Function) -> Array:
        return weight * jacobian_penalty(encode, x)

    return autoencoder(encoder, decoder, penalty=penalty, **options)


def regularized_autoencoder(
    encoder: Network,
    decoder: Network,
    *,
    code_weight: float = 1.0,
    decoder_weight: float = 1e-3,
    decoder_penalty: str = "l2",
    **options: Any,
) -> Model:
    """RAE: the penalty is code_weight |z|^2 / 2 + decoder_weight R, with R a smoothness of the decoder.

    R is |theta|^2, the decoder's squared weights and biases, for "l2" (RAE-L2); for "gradient" (RAE-GP) it is
    |dE[x | z] / dz|^2 / 2, the squared Frobenius norm of the decoder's Jacobian at the code, exact, at latent_dim
    forward passes for each example. To draw from the model, fit a density to the codes afterwards.

    Args:
        encoder, decoder, options: as `autoencoder`; the paper's squared error is `normal(std=1 / sqrt(2))`.
        code_weight: beta of the paper.
        decoder_weight: lambda of the paper.
        decoder_penalty: "l2" or "gradient".

    Raises:
        ValueError, TypeError: for a negative weight or an unknown penalty, and as `autoencoder`.

    Source: Ghosh et al., 2020, "From variational to deterministic autoencoders", arXiv 1903.12436.

    Example:
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> networks = MLPDeterministicEncoder(2, ()), MLPDecoder((4, 1), hidden=())
        >>> model = regularized_autoencoder(*networks, decoder_penalty="gradient", event_shape=(4, 1), latent_dim=2)
        >>> params = model.init(jax.random.key(0), jnp.ones((4, 1)))
        >>> bool(model.terms(params, jax.random.key(1), jnp.ones((4, 1))).penalty > 0)
        True
    """
    finite_number("code_weight", code_weight)
    finite_number("decoder_weight", decoder_weight)
    if decoder_penalty not in ("l2", "gradient"):
        raise ValueError(f"decoder_penalty is {decoder_penalty!r}, expected 'l2' or 'gradient'.")

    def penalty(params: Params, x: Array, z: Array, encode: Function, decode: Function) -> Array:
        if decoder_penalty == "l2":
            leaves = jax.tree.leaves(params["decoder"])
            roughness = sum((jnp.sum(jnp.asarray(leaf, z.dtype) ** 2) for leaf in leaves), jnp.zeros((), z.dtype))
        else:
            roughness = 0.5 * jacobian_penalty(decode, z)
        return 0.5 * code_weight * (z**2).sum() + decoder_weight * roughness

    return autoencoder(encoder, decoder, penalty=penalty, **options)
