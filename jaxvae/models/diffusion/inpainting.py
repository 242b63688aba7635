"""The missing part of an example by a diffusion that was trained on whole ones; an approximation."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_key, positive_integer
from jaxvae.models.contexts import Labelled
from jaxvae.models.diffusion.process import diffused
from jaxvae.models.diffusion.samplers import Sampler, ancestral_step, guided, sampler_of
from jaxvae.models.diffusion.schedules import noise_scale, signal_scale
from jaxvae.models.records import Key, Model, Params, check_batch

Array = jax.Array


def inpaint(model: Model, params: Params, key: Key, x: Any, known: Any, *, steps: int = 100, repeats: int = 1) -> Array:
    """Examples whose elements outside the mask are drawn anew, the others kept as they are.

    Ancestral sampling, in which after every step the known part is replaced by itself with the noise of that step.
    What is drawn fits what is known only as far as the network's next look can mend it, so the law is not that of
    p(missing | known); with `repeats` each step goes back up and down again so many times, which brings it nearer. An
    autoregressive model completes exactly (`evaluation.samples.complete`).

    Args:
        model, params: a diffusion; guidance is that of `with_sampler`.
        key: consumed.
        x: [N, *event_shape], or `Labelled` of it, in the units of the model; what the missing elements hold does not
            matter, but it must be something that the model can score.
        known: bool [*event_shape], or one mask for each example.
        steps: from noise to data.
        repeats: of each step, 1 is none.

    Returns:
        [N, *event_shape].

    Raises:
        ValueError, TypeError: for a model that is no diffusion, x that it cannot score, or a mask of another shape.

    Source: Song et al., 2021, arXiv 2011.13456, appendix I; repeats: Lugmayr et al., 2022, arXiv 2201.09865.

    Example:
        >>> from jaxvae.models.diffusion.bound import diffusion_model
        >>> from jaxvae.networks.denoisers import MLPDenoiser
        >>> model = diffusion_model(MLPDenoiser((2,), hidden=(4,)), event_shape=(2,), draw_steps=3)
        >>> params = model.init(jax.random.key(0), jnp.zeros(2))
        >>> x, known = jnp.ones((3, 2)), np.array([True, False])
        >>> inpaint(model, params, jax.random.key(1), x, known, steps=3)[:, 0].tolist()
        [1.0, 1.0, 1.0]
    """
    sampler = sampler_of(model)
    check_batch(model, x)
    as_key("key", key)
    steps, repeats = positive_integer("steps", steps), positive_integer("repeats", repeats)
    value, context = (x.value, x.context) if isinstance(x, Labelled) else (x, None)
    mask = np.asarray(known)
    if mask.dtype != np.bool_ or mask.shape not in (model.event_shape, np.shape(value)):
        raise ValueError(
            f"known is {mask.dtype} of shape {mask.shape}, expected bool of shape {model.event_shape}, or with a "
            f"leading axis of {len(value)} examples: true where x is kept."
        )
    keys, masks = jax.random.split(key, len(value)), np.broadcast_to(mask, np.shape(value))
    found: Array = _inpainted(sampler._replace(steps=steps), repeats, params, keys, jnp.asarray(value), masks, context)
    return found


@functools.partial(jax.jit, static_argnums=(0, 1))
def _inpainted(
    sampler: Sampler, repeats: int, params: Params, keys: Key, x: Array, known: Array, contexts: Any
) -> Array:
    return jax.vmap(functools.partial(_one, sampler, repeats, params))(keys, x, known, contexts)


def _one(sampler: Sampler, repeats: int, params: Params, key: Key, x: Array, known: Array, context: Any) -> Array:
    process, schedule = sampler.process, sampler.process.schedule
    label = None if sampler.told is None else sampler.told.encode(context)
    noise = guided(process, sampler.told, label, sampler.guidance)
    data, (key_start, key_steps, key_x) = process.scaled(x), jax.random.split(key, 3)

    def one(index: Array, z: Array) -> Array:
        step, last = index // repeats, index % repeats == repeats - 1
        gamma, below = (schedule.gamma(params, (sampler.steps - step - i) / sampler.steps) for i in (0, 1))
        key_down, key_known, key_up = jax.random.split(jax.random.fold_in(key_steps, index), 3)
        z = ancestral_step(key_down, z, noise(params, z, gamma, label), gamma, below)
        z = jnp.where(known, diffused(data, jax.random.normal(key_known, z.shape, z.dtype), below), z)
        return jnp.where(last, z, _up(key_up, z, below, gamma))

    start = jax.random.normal(key_start, process.event_shape)
    z = jax.lax.fori_loop(0, sampler.steps * repeats, one, start)
    return jnp.where(known, x, process.decoded(params, key_x, z))


def _up(key: Key, z: Array, below: Array, gamma: Array) -> Array:
    """z_t ~ q(z_t | z_s) for gamma(t) above gamma(s)."""
    alpha = signal_scale(gamma) / signal_scale(below)
    variance = noise_scale(gamma) ** 2 * -jnp.expm1(below - gamma)
    return alpha * z + jnp.sqrt(variance) * jax.random.normal(key, z.shape, z.dtype)
