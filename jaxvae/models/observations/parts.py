"""An observation model of examples with several parts: each part its own, independent given the latents."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxvae.models.records import Key, Observation, Params

Array = jax.Array


def joint(parts: Mapping[str, Observation]) -> Observation:
    """log p(x | outputs) = sum over names of log p_name(x[name] | outputs[name]); x and outputs are dicts by name.

    Constructors make one of a dict: `vae(..., event_shape={"picture": (5, 1), "count": (1,)}, observation={"picture":
    bernoulli(), "count": poisson()})`. Parameters of a part, where it has any, are {"observation": {name: ...}}.

    Raises:
        TypeError: for what is no dict of observation models.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxvae.models.observations.continuous import bernoulli
        >>> from jaxvae.models.observations.counts import poisson
        >>> both = joint({"pixel": bernoulli(), "count": poisson()})
        >>> zeros = {"pixel": jnp.zeros(1), "count": jnp.zeros(1)}
        >>> round(float(both.log_prob({}, zeros, zeros)), 4)  # -log 2 - 1
        -1.6931
    """
    if not isinstance(parts, Mapping) or not parts or not all(isinstance(p, Observation) for p in parts.values()):
        raise TypeError(f"observation is {parts!r}, expected an observation model for each name, such as bernoulli().")
    parts = dict(sorted(parts.items()))

    def init() -> Params:
        own = {name: found for name, part in parts.items() if (found := part.init())}
        return {"observation": own} if own else {}

    def each(function: Callable[[str, Observation, Params], Any], params: Params) -> dict[str, Any]:
        own = params.get("observation", {})
        return {name: function(name, part, own.get(name, {})) for name, part in parts.items()}

    def log_prob(params: Params, x: Any, outputs: Any) -> Array:
        return sum_of(each(lambda name, part, own: part.log_prob(own, x[name], outputs[name]), params))

    def sample(params: Params, key: Key, outputs: Any) -> Any:
        keys = dict(zip(parts, jax.random.split(key, len(parts)), strict=True))
        return each(lambda name, part, own: part.sample(own, keys[name], outputs[name]), params)

    def mean(params: Params, outputs: Any) -> Any:
        return each(lambda name, part, own: part.mean(own, outputs[name]), params)

    def to_unit(x: Any) -> Any:
        return {name: part.to_unit(x[name]) for name, part in parts.items()}

    def check(x: Any, name: str = "x") -> None:
        for key, part in parts.items():
            part.check(x[key], f"{name}[{key!r}]")

    discrete = all(part.discrete for part in parts.values())
    called = ", ".join(f"{name}: {part.name}" for name, part in parts.items())
    apart = all(part.independent for part in parts.values())
    return Observation(called, 0, init, log_prob, sample, mean, to_unit, check, discrete, parts, apart)


def sum_of(numbers: Mapping[str, Array]) -> Array:
    """The sum of scalars [] by name.

    Example:
        >>> float(sum_of({"a": jax.numpy.float32(1), "b": jax.numpy.float32(2)}))
        3.0
    """
    return jax.numpy.stack(list(numbers.values())).sum()
