"""p(x | z) of one pixel, or of one column of a table, by name."""

from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.records import Likelihood, Protocol

if TYPE_CHECKING:
    from jaxvae.models.records import Observation

GREY: tuple[Protocol, ...] = ("grey", "dequantize")
REAL: tuple[Protocol, ...] = (*GREY, "standardize")
WHOLE: tuple[Protocol, ...] = ("levels", "counts")
WITHOUT_SCALE = ("model.scale",)
WIDTH = ("model.std",)


def continuous(name: str, *options: Any, **named: Any) -> "Observation":
    """An observation model of models/observations/continuous.py, by the name of its constructor."""
    from jaxvae.models.observations import continuous

    made: Observation = getattr(continuous, name)(*options, **named)
    return made


def counts(name: str) -> "Observation":
    """An observation model of models/observations/counts.py, by the name of its constructor."""
    from jaxvae.models.observations import counts

    made: Observation = getattr(counts, name)()
    return made


def discrete(name: str, *options: Any) -> "Observation":
    """An observation model of models/observations/discrete.py, by the name of its constructor."""
    from jaxvae.models.observations import discrete

    made: Observation = getattr(discrete, name)(*options)
    return made


def coupled(config: Any, levels: int, *_: int) -> "Observation":
    """The mixture of models/observations/colours.py."""
    from jaxvae.models.observations.colours import coupled_logistic_mixture

    return coupled_logistic_mixture(config.components, levels)


def marginal(config: Any, levels: int, *_: int) -> "Observation":
    """The Gaussian of models/observations/marginal.py, whose scale each example, or each colour of it, finds."""
    from jaxvae.models.observations.marginal import marginal_normal

    return marginal_normal(config.std, per_channel=config.scale == "per_channel")


def scaled(name: str, config: Any, channels: int) -> "Observation":
    """A family of models/observations/continuous.py with a width."""
    return continuous(name, config.scale, config.std, channels=channels)


LIKELIHOODS: dict[str, Likelihood] = {
    "bernoulli": Likelihood(
        lambda config, levels, *_: continuous("bernoulli"),
        ("dynamic", "threshold", "grey"),
        ignores=WITHOUT_SCALE,
        one_output=True,
    ),
    "continuous_bernoulli": Likelihood(
        lambda config, levels, *_: continuous("continuous_bernoulli"), GREY, ignores=WITHOUT_SCALE
    ),
    "normal": Likelihood(
        lambda config, levels, channels=1: scaled("normal", config, channels),
        REAL,
        reads=WIDTH,
        one_output=True,
    ),
    "laplace": Likelihood(
        lambda config, levels, channels=1: scaled("laplace", config, channels),
        REAL,
        reads=WIDTH,
    ),
    "marginal_normal": Likelihood(marginal, REAL, reads=WIDTH, scales=("fixed", "per_channel")),
    "discretized_logistic": Likelihood(
        lambda config, levels, *_: discrete("discretized_logistic", levels), ("levels",), ignores=WITHOUT_SCALE
    ),
    "logistic_mixture": Likelihood(
        lambda config, levels, *_: discrete("logistic_mixture", config.components, levels),
        ("levels",),
        reads=("model.components",),
        ignores=WITHOUT_SCALE,
    ),
    "coupled_logistic_mixture": Likelihood(coupled, ("levels",), reads=("model.components",), ignores=WITHOUT_SCALE),
    # Grey levels as counts; a count distribution says nothing of its end at 255.
    "poisson": Likelihood(lambda config, levels, *_: counts("poisson"), WHOLE, ignores=WITHOUT_SCALE),
    "negative_binomial": Likelihood(
        lambda config, levels, *_: counts("negative_binomial"), WHOLE, ignores=WITHOUT_SCALE
    ),
    "zero_inflated_negative_binomial": Likelihood(
        lambda config, levels, *_: counts("zero_inflated_negative_binomial"), WHOLE, ignores=WITHOUT_SCALE
    ),
    "categorical": Likelihood(
        lambda config, levels, *_: discrete("categorical", levels), ("levels",), ignores=WITHOUT_SCALE
    ),
}
