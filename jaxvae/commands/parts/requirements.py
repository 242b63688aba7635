"""What a command asks of the model of a run, with a command that does work where this one cannot."""

from typing import Any


def need_prior(run: str, model: Any, why: str) -> None:
    """Raises `ValueError` for a run of a model without a prior, such as a deterministic autoencoder.

    Example:
        >>> import jaxvae
        >>> networks = jaxvae.MLPDeterministicEncoder(2), jaxvae.MLPDecoder((4, 1))
        >>> model = jaxvae.autoencoder(*networks, event_shape=(4, 1), latent_dim=2)
        >>> need_prior("runs/a", model, "there is nothing to draw codes from")
        Traceback (most recent call last):
        ValueError: runs/a is of a model without a prior: there is nothing to draw codes from, expected a model with \
one. Try jaxvae interpolate runs/a
    """
    if model.prior.support == "none":
        raise ValueError(
            f"{run} is of a model without a prior: {why}, expected a model with one. Try jaxvae interpolate {run}"
        )


def need_one_vector(run: str, model: Any, params: Any, why: str) -> None:
    """Raises `ValueError` for a run whose latents are no one vector, but come in groups, one above the other.

    Example:
        >>> import jax, jaxvae
        >>> model = jaxvae.models.exact.linear_gaussian(jax.numpy.ones((4, 2)))
        >>> need_one_vector("runs/a", model, model.init(jax.random.key(0), jax.numpy.zeros(4)), "there is no plane")
    """
    import jax

    from jaxvae.evaluation.latents.decoding import latent_shapes

    code = latent_shapes(model, params)
    if not isinstance(code, jax.ShapeDtypeStruct) or len(code.shape) != 1:
        shapes = ", ".join(str(leaf.shape) for leaf in jax.tree.leaves(code))
        raise ValueError(
            f"{run} is of a model whose latents come in groups of shapes {shapes}: {why}, expected a model with one "
            f"vector of latents. Try jaxvae interpolate {run}"
        )
