"""How much each latent carries, also where the model's KL is one number for all of them."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.latents.codes import posterior_means, strongest_latents
from jaxvae.evaluation.latents.decoding import latent_shapes
from jaxvae.models.records import Key, Model, Params

Array = jax.Array


class Strengths(NamedTuple):
    """How much each of Z latents carries.

    Attributes:
        values: [Z], means over examples.
        unit: "nats" of KL, or "variance" of the posterior means.
    """

    values: np.ndarray
    unit: str

    def strongest(self, count: int) -> tuple[int, ...]:
        """The `count` strongest latents, or all where there are fewer, the strongest first."""
        return strongest_latents(self.values, min(count, self.values.size))

    @property
    def words(self) -> str:
        """What they are ordered by."""
        return "KL" if self.unit == "nats" else "variance of the posterior mean"


def one_vector(model: Model, params: Params) -> int:
    """Z where the latents are one vector of real numbers, else 0: a hierarchy, classes, a codebook, a density."""
    code = latent_shapes(model, params)
    is_vector = isinstance(code, jax.ShapeDtypeStruct) and len(code.shape) == 1
    return code.shape[0] if is_vector and np.issubdtype(code.dtype, np.floating) else 0


def latent_strengths(model: Model, params: Params, kl: Array | np.ndarray, x: Any) -> Strengths:
    """KL of each latent, or the variance of each one's posterior mean where the KL is one number for all.

    A KL in closed form between diagonal Gaussians is a sum over latents. Under a mixture, a VampPrior or a flow, or of
    a posterior that is no diagonal Gaussian, it is one number, and says nothing of any single latent.

    Args:
        model, params: with latents in one vector.
        kl: [N, L] nats, as `per_example` gives it under "kl_per_latent", or their means [L]; L is Z or 1.
        x: [N, *event_shape] examples, some hundreds will do.

    Source: active units by the variance: Burda, Grosse and Salakhutdinov, 2016, arXiv 1509.00519, section 5.2.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> params = model.init(jax.random.key(0), jnp.zeros((4, 4, 1)))
        >>> latent_strengths(model, params, np.array([0.5, 2.0]), jnp.zeros((3, 4, 4, 1))).strongest(2)
        (1, 0)
        >>> latent_strengths(model, params, np.array([2.5]), jnp.zeros((3, 4, 4, 1))).values.shape
        (2,)
    """
    kl = np.asarray(kl, np.float64)
    kl = kl.mean(0) if kl.ndim == 2 else kl
    if kl.size == one_vector(model, params):
        return Strengths(kl, "nats")
    return Strengths(np.var(np.asarray(posterior_means(model, params, x), np.float64), axis=0), "variance")


def measured_strengths(model: Model, params: Params, key: Key, x: Any) -> Strengths:
    """`latent_strengths` of examples, whose KL is measured first where the model has one; the key is consumed.

    Args:
        model, params: with latents in one vector.
        key: of the posterior samples.
        x: [N, *event_shape] examples, some hundreds will do.

    Raises:
        ValueError, TypeError: as `per_example` and `posterior_means`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxvae.models.autoencoders.deterministic import autoencoder
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> networks = MLPDeterministicEncoder(2), MLPDecoder((4, 4, 1))
        >>> model = autoencoder(*networks, event_shape=(4, 4, 1), latent_dim=2)
        >>> params = model.init(jax.random.key(0), jnp.zeros((4, 4, 1)))
        >>> measured_strengths(model, params, jax.random.key(1), jnp.zeros((3, 4, 4, 1))).unit
        'variance'
    """
    kl = per_example(model, params, key, x).get("kl_per_latent", np.zeros((1, 0)))
    return latent_strengths(model, params, kl, x)
