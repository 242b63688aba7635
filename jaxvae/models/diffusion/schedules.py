"""How noise grows: gamma(t), the logarithm of noise over signal, on t in [0, 1].

    q(z_t | x) = N(alpha x, sigma^2 I),   sigma^2 = sigmoid(gamma),   alpha^2 = sigmoid(-gamma)

so that alpha^2 + sigma^2 = 1 and the signal-to-noise ratio is exp(-gamma). Kingma, Salimans, Poole and Ho, 2021, arXiv
2107.00630.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, finite_number, in_range, positive_integer
from jaxvae.models.records import Key, Params, part_of

Array = jax.Array
START, STOP = -13.3, 5.0  # of VDM, for 256 levels: 0.0013 of noise at the start, a signal of 0.08 at the end


class NoiseSchedule(NamedTuple):
    """A rising function of time.

    Attributes:
        init: key -> parameters, {} or one part "schedule".
        gamma: (params, t []) -> [] log(sigma^2 / alpha^2), rising in t, differentiable.
    """

    init: Callable[[Key], Params]
    gamma: Callable[[Params, Array], Array]


def signal_scale(gamma: Array) -> Array:
    """alpha = sqrt(sigmoid(-gamma)), without overflow.

    Example:
        >>> round(float(signal_scale(jnp.float32(0.0))) ** 2, 4)
        0.5
    """
    return jnp.exp(-0.5 * jax.nn.softplus(gamma))


def noise_scale(gamma: Array) -> Array:
    """sigma = sqrt(sigmoid(gamma)), without overflow.

    Example:
        >>> g = jnp.float32(-2.0)
        >>> round(float(noise_scale(g) ** 2 / signal_scale(g) ** 2), 4), round(math.exp(-2), 4)
        (0.1353, 0.1353)
    """
    return jnp.exp(-0.5 * jax.nn.softplus(-gamma))


def linear_schedule(start: float = START, stop: float = STOP) -> NoiseSchedule:
    """gamma(t) = start + (stop - start) t.

    The less noise at the start the nearer the bound: sigma at the start should be small beside the distance of two
    levels of x on [-1, 1]; at the end next to no signal should be left.

    Raises:
        ValueError: unless start < stop, both finite.

    Example:
        >>> float(linear_schedule(-10.0, 6.0).gamma({}, jnp.float32(0.5)))
        -2.0
    """
    low, high = _ends(start, stop)
    return NoiseSchedule(lambda key: {}, lambda params, t: low + (high - low) * _time(t))


def cosine_schedule(start: float = START, stop: float = STOP) -> NoiseSchedule:
    """alpha = cos(u), u linear in t: gamma = 2 log tan(u), between the two ends.

    Raises:
        ValueError: unless start < stop, both finite.

    Source: Nichol and Dhariwal, 2021, arXiv 2102.09672, with ends in place of their offset.

    Example:
        >>> schedule = cosine_schedule(-8.0, 8.0)
        >>> [round(float(schedule.gamma({}, jnp.float32(t))), 3) for t in (0, 0.5, 1)]
        [-8.0, 0.0, 8.0]
    """
    low, high = _ends(start, stop)
    first = math.atan(math.exp(low / 2))
    last = math.atan(math.exp(-high / 2))  # what is missing to a right angle: 1 - cos loses all digits near it

    def gamma(params: Params, t: Array) -> Array:
        t = _time(t)
        u, rest = first + (math.pi / 2 - last - first) * t, last + (math.pi / 2 - last - first) * (1.0 - t)
        return 2.0 * (jnp.log(jnp.sin(u)) - jnp.log(jnp.sin(rest)))

    return NoiseSchedule(lambda key: {}, gamma)


def learned_schedule(start: float = START, stop: float = STOP, *, units: int = 16) -> NoiseSchedule:
    """gamma(t) = start + (stop - start) r(t), both ends and a rising r with r(0) = 0 and r(1) = 1 learned.

    r(t) is t plus `units` sigmoids of positive slope and weight, scaled to its ends. In continuous time the bound
    depends on the ends alone, and the path between them says how noisy its estimate is; with T steps the path counts.

    Raises:
        ValueError, TypeError: unless start < stop, both finite, and units is a positive integer.

    Source: Kingma et al., 2021, arXiv 2107.00630, appendix H, with other layers.

    Example:
        >>> schedule = learned_schedule(-10.0, 6.0)
        >>> params = schedule.init(jax.random.key(0))
        >>> [round(float(schedule.gamma(params, jnp.float32(t))), 3) for t in (0, 1)]
        [-10.0, 6.0]
    """
    low, high = _ends(start, stop)
    units = positive_integer("units", units)

    def init(key: Key) -> Params:
        return {
            "schedule": {
                "start": jnp.float32(low),
                "log_width": jnp.float32(math.log(high - low)),
                "log_weight": jnp.full(units, -3.0, jnp.float32),
                "log_slope": jnp.full(units, math.log(10.0), jnp.float32),
                "centre": jnp.linspace(0.0, 1.0, units, dtype=jnp.float32),
            }
        }

    def gamma(params: Params, t: Array) -> Array:
        own: Any = part_of(params, "schedule")

        def rise(t: Any) -> Array:
            inner = jax.nn.sigmoid(jnp.exp(own["log_slope"]) * (t - own["centre"]))
            return t + jnp.sum(jnp.exp(own["log_weight"]) * inner)

        bottom = rise(0.0)
        return own["start"] + jnp.exp(own["log_width"]) * (rise(_time(t)) - bottom) / (rise(1.0) - bottom)

    return NoiseSchedule(init, gamma)


def _time(t: Any) -> Array:
    """A time in [0, 1]; raises `ValueError` for a concrete one outside."""
    found = as_float("t", t)
    in_range("t", found, 0.0, 1.0, "Time runs from 0, the data, to 1, noise alone.")
    return found


def _ends(start: float, stop: float) -> tuple[float, float]:
    finite_number("start", start, low=-math.inf)
    finite_number("stop", stop, low=-math.inf)
    if start >= stop:
        raise ValueError(
            f"start is {start} and stop {stop}, expected start < stop: gamma, the log of noise over signal, rises."
        )
    return float(start), float(stop)
