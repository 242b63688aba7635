"""What a model says of log p(x), and the refusal, by name, of what does not follow from it."""

from jaxvae.models.records import Evidence, Model

SAYS: dict[Evidence, str] = {
    "exact": "log p(x) itself is known, and no samples can better it",
    "weights": "its weights have the mean p(x)",
    "bound": "its log-weights are below log p(x) on average, and the logarithm of their mean need not be",
    "none": "it says nothing of log p(x), as a deterministic autoencoder or a GAN",
}
WORKS: dict[Evidence, str] = {
    "exact": "Take log_p of per_example, one pass, or train by bound_loss(model, elbo).",
    "weights": "",
    "bound": "Take elbo of per_example, a mean with its Monte Carlo error, or train by bound_loss(model, elbo).",
    "none": "Take log_likelihood of per_example, its reconstruction, or a model with a posterior, such as vae.",
}


def need_weights(model: Model, what: str) -> None:
    """Raises `ValueError`, naming what was asked for, unless the model's weights have the mean p(x).

    Example:
        >>> import jax
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> need_weights(linear_gaussian(jax.numpy.ones((2, 1))), "annealing")
        >>> need_weights(linear_gaussian(jax.numpy.ones((2, 1)))._replace(evidence="exact"), "annealing")
        Traceback (most recent call last):
        ValueError: annealing needs weights of mean p(x), but the evidence of this model is 'exact': log p(x) itself \
is known, and no samples can better it. Take log_p of per_example, one pass, or train by bound_loss(model, elbo).
    """
    if model.evidence != "weights":
        raise ValueError(
            f"{what} needs weights of mean p(x), but the evidence of this model is {model.evidence!r}: "
            f"{SAYS[model.evidence]}. {WORKS[model.evidence]}"
        )
