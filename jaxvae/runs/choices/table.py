"""All tables by the option whose values they are, and what follows from them: which options nothing would read."""

from typing import Any

from jaxvae.runs.choices.bounds import BOUNDS, ESTIMATORS
from jaxvae.runs.choices.data import EXAMPLES
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.choices.likelihoods import LIKELIHOODS
from jaxvae.runs.choices.networks import NETWORKS, SIZES
from jaxvae.runs.choices.penalties import PENALTIES
from jaxvae.runs.choices.posteriors import POSTERIORS
from jaxvae.runs.choices.priors import PRIORS

TABLES: dict[str, dict[Any, Any]] = {
    "data.kind": EXAMPLES,
    "model.network": NETWORKS,
    "model.size": SIZES,
    "model.kind": KINDS,
    "model.likelihood": LIKELIHOODS,
    "model.prior": PRIORS,
    "model.posterior": POSTERIORS,
    "objective.bound": BOUNDS,
    "objective.estimator": ESTIMATORS,
    "objective.penalty": PENALTIES,
}


def readers() -> dict[str, dict[str, tuple[str, ...]]]:
    """{option that only some choices read: {the option that chooses: its values that read it}}.

    Example:
        >>> readers()["model.rank"], readers()["objective.groups"]
        ({'model.posterior': ('low_rank',)}, {'objective.bound': ('miwae',), 'objective.estimator': ('piwae',)})
    """
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for field, table in TABLES.items():
        for name, choice in table.items():
            for option in choice.reads:
                by_field = found.setdefault(option, {})
                by_field[field] = (*by_field.get(field, ()), name)
    return found


def takers(field: str, option: str) -> tuple[str, ...]:
    """The values of `field` that take an option which others of them ignore.

    Example:
        >>> takers("model.kind", "model.prior")
        ('vae', 'pixel_vae')
    """
    return tuple(name for name, choice in TABLES[field].items() if option not in choice.ignores)
