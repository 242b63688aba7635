"""What a command asks of the model of a run, with a command that does work where this one cannot."""

from typing import Any


def need_images(run: str, config: Any, instead: str) -> None:
    """Raises `ValueError` for a run of rows, which have no pictures of their own, naming a command that does work.

    Example:
        >>> from jaxvae.runs.configs.presets import PRESETS
        >>> need_images("runs/a", PRESETS["table"], "sample")
        Traceback (most recent call last):
        ValueError: runs/a is of a table, whose rows are no pictures, expected a run of images. Try jaxvae sample runs/a
    """
    if config.data.kind != "images":
        what = "a table" if config.data.kind == "table" else config.data.kind
        raise ValueError(
            f"{run} is of {what}, whose rows are no pictures, expected a run of images. Try jaxvae {instead} {run}"
        )


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


def need_encoder(run: str, model: Any, why: str) -> None:
    """Raises `ValueError` for a run of a model without codes of its examples, such as a GAN.

    Example:
        >>> import jaxvae
        >>> model = jaxvae.gan(jaxvae.MLPDecoder((4, 1)), event_shape=(4, 1), latent_dim=2)
        >>> need_encoder("runs/a", model, "there is nothing to reconstruct from")
        Traceback (most recent call last):
        ValueError: runs/a is of a model without an encoder: there is nothing to reconstruct from, expected a model \
with one. Try jaxvae sample runs/a
    """
    if model.posterior.support == "none":
        raise ValueError(
            f"{run} is of a model without an encoder: {why}, expected a model with one. Try jaxvae sample {run}"
        )


def need_weights(run: str, model: Any, why: str) -> None:
    """Raises `ValueError` unless importance weights over real latents say what log p(x) is.

    Example:
        >>> import jax, jaxvae
        >>> need_weights("runs/a", jaxvae.models.exact.linear_gaussian(jax.numpy.ones((4, 2))), "no chain can start")
    """
    if model.evidence != "weights" or model.prior.support != "real":
        raise ValueError(
            f"{run} is of a model without importance weights over real latents: {why}, expected a model with them. "
            f"Try jaxvae {'sample' if model.posterior.support == 'none' else 'evaluate'} {run}"
        )


def need_order(run: str, model: Any, why: str) -> None:
    """Raises `ValueError` for a run of a model that draws no element after the other.

    Example:
        >>> import jax, jaxvae
        >>> need_order("runs/a", jaxvae.models.exact.linear_gaussian(jax.numpy.ones((4, 2))), "there is no rest")
        Traceback (most recent call last):
        ValueError: runs/a is of a model that draws no pixel after the other: there is no rest, expected an \
autoregressive one, such as --model.kind pixel_cnn. Try jaxvae reconstruct runs/a
    """
    if model.likelihood.complete is None:
        other = "sample" if model.posterior.support == "none" else "reconstruct"
        raise ValueError(
            f"{run} is of a model that draws no pixel after the other: {why}, expected an autoregressive one, such as "
            f"--model.kind pixel_cnn. Try jaxvae {other} {run}"
        )


def need_diffusion(run: str, model: Any, why: str) -> None:
    """Raises `ValueError` for a run of a model that takes no noise off step by step.

    Example:
        >>> import jax, jaxvae
        >>> need_diffusion("runs/a", jaxvae.models.exact.linear_gaussian(jax.numpy.ones((4, 2))), "there is no noise")
        Traceback (most recent call last):
        ValueError: runs/a is of a model that is no diffusion: there is no noise, expected a run of --model.kind \
diffusion. Try jaxvae sample runs/a
    """
    from jaxvae.models.diffusion import Sampler

    if not isinstance(model.draw, Sampler):
        raise ValueError(
            f"{run} is of a model that is no diffusion: {why}, expected a run of --model.kind diffusion. Try jaxvae "
            f"sample {run}"
        )


def need_flat(run: str, model: Any, why: str) -> None:
    """Raises `ValueError` for a run of a model whose codes lie on a sphere, so that no latent moves alone.

    Example:
        >>> import jax, jaxvae
        >>> need_flat("runs/a", jaxvae.models.exact.linear_gaussian(jax.numpy.ones((4, 2))), "there is no plane")
    """
    if model.posterior.support == "sphere":
        raise ValueError(
            f"{run} is of a model whose codes lie on a sphere: {why}, expected a model with latents that move alone. "
            f"Try jaxvae interpolate {run}"
        )


def need_vectors(run: str, model: Any, params: Any, why: str, *, groups: bool = False) -> None:
    """Raises `ValueError` unless the latents are one vector of real numbers, or, where allowed, groups of them.

    Example:
        >>> import jax, jaxvae
        >>> model = jaxvae.models.exact.linear_gaussian(jax.numpy.ones((4, 2)))
        >>> need_vectors("runs/a", model, model.init(jax.random.key(0), jax.numpy.zeros(4)), "there is no plane")
    """
    import jax

    from jaxvae.evaluation.latents import are_vectors
    from jaxvae.evaluation.latents.decoding import latent_shapes

    need_encoder(run, model, why)
    arrays, vectors = jax.tree.leaves(latent_shapes(model, params)), are_vectors(model, params)
    if not vectors or (len(arrays) > 1 and not groups):
        shapes = ", ".join(str(leaf.shape) for leaf in arrays)
        kinds = "come in groups" if vectors else "are no vectors of real numbers but arrays"
        raise ValueError(
            f"{run} is of a model whose latents {kinds} of shapes {shapes}: {why}, expected a model with one vector of "
            f"latents. Try jaxvae {'interpolate' if vectors else 'reconstruct'} {run}"
        )
