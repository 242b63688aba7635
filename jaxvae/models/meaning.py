"""What the numbers of a model mean: what it says of log p(x), and in which space its codes live.

What does not follow from that is refused here, by name, with what does work.
"""

from typing import Any

from jaxvae.models.records import Conditional, Evidence, Model, Support

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


def draws_through_latents(model: Model) -> bool:
    """Whether an example is drawn from a code, so that it has a mean given that code.

    Example:
        >>> import jax
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> draws_through_latents(linear_gaussian(jax.numpy.ones((2, 1))))
        True
    """
    return model.evidence != "exact" and model.draw is None


SPACES: dict[Support, str] = {
    "real": "R^n, densities by volume",
    "sphere": "the unit sphere, densities by area",
    "one_hot": "one-hot vectors, probabilities",
    "codebook": "the vectors of a codebook, probabilities",
    "simplex": "the probability simplex, densities by volume of all coordinates but the last",
    "integers": "whole numbers, probabilities",
    "bins": "the gaps between whole numbers, densities by volume with a wall at each",
    "mixed": "several spaces at once",
    "none": "nowhere, since there is none",
}


def absent(why: str) -> Conditional:
    """What a model holds in place of a part that it lacks: no parameters, and a `ValueError` wherever it is asked.

    Example:
        >>> absent("there is no prior").init(None, None)
        {}
    """

    def refuse(*_: object) -> Any:
        raise ValueError(why)

    return Conditional(lambda key, context: {}, refuse, refuse, refuse, support="none")


def same_support(posterior: Conditional, prior: Conditional) -> None:
    """Raises `ValueError` unless codes of the two live in one space, so that their densities can be compared.

    Example:
        >>> from jaxvae.models.priors.sphere import uniform_sphere
        >>> from jaxvae.models.priors.standard import standard_normal
        >>> same_support(uniform_sphere(2), standard_normal(2))
        Traceback (most recent call last):
        ValueError: the codes of the posterior are on 'sphere' (the unit sphere, densities by area) and those of the \
prior on 'real' (R^n, densities by volume), expected one space: no ratio of such densities is a weight. Take a prior \
on 'sphere', or say what yours is by prior._replace(support='sphere').
    """
    q, p = posterior.support, prior.support
    if q != p and "none" not in (q, p):
        raise ValueError(
            f"the codes of the posterior are on {q!r} ({SPACES[q]}) and those of the prior on {p!r} ({SPACES[p]}), "
            f"expected one space: no ratio of such densities is a weight. Take a prior on {q!r}, or say what yours is "
            f"by prior._replace(support={q!r})."
        )


WEIGHTED = "Take the importance-weighted bound, per_example(..., samples=1000)."


def need_real(part: Conditional, what: str, instead: str) -> None:
    """Raises `ValueError`, naming what was asked for, unless the values are vectors of R^n with densities by volume.

    Example:
        >>> from jaxvae.models.categorical_latents import uniform_categories
        >>> need_real(uniform_categories(2, 3), "annealing", WEIGHTED)
        Traceback (most recent call last):
        ValueError: annealing goes through R^n, but the values here are on 'one_hot' (one-hot vectors, probabilities). \
Take the importance-weighted bound, per_example(..., samples=1000).
    """
    if part.support != "real":
        raise ValueError(
            f"{what} goes through R^n, but the values here are on {part.support!r} ({SPACES[part.support]}). {instead}"
        )
