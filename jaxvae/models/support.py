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
