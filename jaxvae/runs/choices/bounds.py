"""Bounds that training maximises and estimators of their gradients, by name."""

import functools
from typing import Any

from jaxvae.runs.choices.records import Bound, Estimator, Options

Made = tuple[Any, dict[str, Any]]
NO_KL = ("objective.beta", "objective.warmup_epochs")  # there is no KL to weigh


def _elbo(objective: Options, beta: Any) -> Made:
    from jaxvae.objectives.bounds import elbo

    return elbo, {"beta": beta}


def _iwae(objective: Options, beta: Any) -> Made:
    from jaxvae.objectives.bounds import iwae_bound

    return iwae_bound, {}


def _miwae(objective: Options, beta: Any) -> Made:
    from jaxvae.objectives.importance import miwae_bound

    return functools.partial(miwae_bound, groups=objective.groups), {}


def _ciwae(objective: Options, beta: Any) -> Made:
    from jaxvae.objectives.importance import ciwae_bound

    return ciwae_bound, {"beta": objective.mix}


def _renyi(objective: Options, beta: Any) -> Made:
    from jaxvae.objectives.renyi import renyi_bound

    return renyi_bound, {"alpha": objective.alpha}


def _vr_max(objective: Options, beta: Any) -> Made:
    from jaxvae.objectives.renyi import vr_max_bound

    return vr_max_bound, {}


def _free_bits(objective: Options, beta: Any) -> Made:
    from jaxvae.objectives.rates import free_bits_bound

    return free_bits_bound, {"free_nats": objective.free_bits}


def _capacity(objective: Options, beta: Any) -> Made:
    from jaxvae.objectives.rates import capacity_bound

    return capacity_bound, {"capacity": objective.capacity, "gamma": objective.capacity_weight}


BOUNDS: dict[str, Bound] = {
    "elbo": Bound(_elbo),
    "iwae": Bound(_iwae, ignores=NO_KL),
    "miwae": Bound(_miwae, ("objective.groups",), NO_KL),
    "ciwae": Bound(_ciwae, ("objective.mix",), NO_KL),
    "renyi": Bound(_renyi, ("objective.alpha",), NO_KL),
    "vr_max": Bound(_vr_max, ignores=NO_KL),
    "free_bits": Bound(_free_bits, ("objective.free_bits", "objective.kl_over"), NO_KL, of_batch=True),
    "capacity": Bound(
        _capacity,
        ("objective.capacity", "objective.capacity_weight", "objective.kl_over"),
        NO_KL,
        of_batch=True,
    ),
}


def _pathwise(objective: Options) -> Any:
    return None


def _sticking_the_landing(objective: Options) -> Any:
    from jaxvae.objectives.estimators import sticking_the_landing

    return sticking_the_landing


def _doubly_reparameterized(objective: Options) -> Any:
    from jaxvae.objectives.estimators import doubly_reparameterized

    return doubly_reparameterized


def _score_function(objective: Options) -> Any:
    from jaxvae.objectives.estimators import score_function

    return score_function


def _piwae(objective: Options) -> Any:
    from jaxvae.objectives.estimators import piwae

    return piwae(objective.groups)


ESTIMATORS: dict[str, Estimator] = {
    "pathwise": Estimator(_pathwise),
    "sticking_the_landing": Estimator(_sticking_the_landing),
    "doubly_reparameterized": Estimator(_doubly_reparameterized),
    "score_function": Estimator(_score_function),
    "piwae": Estimator(_piwae, ("objective.groups",)),
}
