"""In which space the values of a `Conditional` live, and against which measure its density is."""

from typing import Any

from jaxvae.models.records import Conditional, Support

SPACES: dict[Support, str] = {
    "real": "R^n, densities by volume",
    "sphere": "the unit sphere, densities by area",
    "one_hot": "one-hot vectors, probabilities",
    "codebook": "the vectors of a codebook, probabilities",
    "simplex": "the probability simplex, densities by volume of all coordinates but the last",
    "integers": "whole numbers, probabilities",
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
