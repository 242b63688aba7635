"""What a network may predict of z = alpha x + sigma noise: the noise, x, v, or chances of levels; one becomes another.

noise = (z - alpha x) / sigma,   x = (z - sigma noise) / alpha,   v = alpha noise - sigma x
"""

import difflib
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxvae.models.diffusion.schedules import noise_scale, signal_scale

Array = jax.Array
PREDICTIONS: dict[str, Callable[[Array, Array, Array, Array], Array]] = {
    "noise": lambda output, z, alpha, sigma: output,
    "x0": lambda output, z, alpha, sigma: (z - alpha * output) / sigma,
    "v": lambda output, z, alpha, sigma: sigma * z + alpha * output,
}


def as_prediction(prediction: str) -> str:
    """The name; raises `ValueError` with the nearest one for a name that there is not.

    Example:
        >>> as_prediction("x")
        Traceback (most recent call last):
        ValueError: prediction is 'x', expected one of noise, x0, v, levels. Did you mean 'x0'?
    """
    names = [*PREDICTIONS, "levels"]
    if prediction not in names:
        near = difflib.get_close_matches(str(prediction), names, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"prediction is {prediction!r}, expected one of {', '.join(names)}.{hint}")
    return prediction


def predicted_noise(prediction: str, output: Array, z: Array, gamma: Array) -> Array:
    """The noise in z that a network's output stands for.

    Args:
        prediction: "noise", "x0" or "v": what the output is; or "levels", and it is [..., C * levels].
        output: of the network, of z's shape but for "levels".
        z: alpha x + sigma noise.
        gamma: [] of `NoiseSchedule`.

    With "levels" the output is the log-chance, up to a constant, that the rest of the picture gives to each level of
    each element of x; what the element's own z says is added here, by Bayes' rule. So x is found exactly where there is
    little noise, which costs other predictions their best digits:

        x = sum_k l_k softmax_k(output_k - (z - alpha l_k)^2 / (2 sigma^2)),   levels l_k spread over [-1, 1]

    Source: v: Salimans and Ho, 2022, arXiv 2202.00512; levels: a mean as of Dieleman et al., 2022, arXiv 2211.15089,
    with the element's own likelihood put in.

    Example:
        >>> x, noise, gamma = jnp.ones(2), jnp.array([0.5, -2.0]), jnp.float32(1.0)
        >>> alpha, sigma = signal_scale(gamma), noise_scale(gamma)
        >>> z = alpha * x + sigma * noise
        >>> perfect = {"noise": noise, "x0": x, "v": alpha * noise - sigma * x}
        >>> all(jnp.allclose(predicted_noise(name, perfect[name], z, gamma), noise, atol=1e-6) for name in perfect)
        True
    """
    alpha, sigma = signal_scale(gamma), noise_scale(gamma)
    if as_prediction(prediction) != "levels":
        return PREDICTIONS[prediction](output, z, alpha, sigma)
    logits = output.reshape(*z.shape, -1) + level_log_likelihoods(z, gamma, output.size // z.size)
    x = jnp.sum(jax.nn.softmax(logits) * level_values(output.size // z.size, z), -1)
    return PREDICTIONS["x0"](x, z, alpha, sigma)


def predicted_x(noise: Array, z: Array, gamma: Array) -> Array:
    """x = (z - sigma noise) / alpha.

    Example:
        >>> round(float(predicted_x(jnp.zeros(1), jnp.ones(1), jnp.float32(0.0))[0]) ** 2, 4)  # 1 / alpha^2
        2.0
    """
    return (z - noise_scale(gamma) * noise) / signal_scale(gamma)


def level_values(levels: int, like: Array) -> Array:
    """The levels on [-1, 1], with as many axes of 1 before them as the array has: [1, ..., levels]."""
    return jnp.linspace(-1.0, 1.0, levels, dtype=like.dtype).reshape((1,) * like.ndim + (levels,))


def level_log_likelihoods(z: Array, gamma: Array, levels: int) -> Array:
    """log q(z | level) of each level up to a constant: -(z / alpha - level)^2 / (2 exp(gamma)), [..., levels].

    Their softmax is VDM's p(x | z_0): Kingma et al., 2021, arXiv 2107.00630, equation 8.
    """
    residual = (z / signal_scale(gamma))[..., None] - level_values(levels, z)
    return -0.5 * jnp.exp(-gamma) * residual**2
