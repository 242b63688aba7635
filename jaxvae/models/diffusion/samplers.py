"""From noise to data: ancestral sampling, DDIM, and the probability flow, with as many steps as one likes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import finite_number, positive_integer, shown
from jaxvae.models.contexts import Context
from jaxvae.models.diffusion.predictions import predicted_x
from jaxvae.models.diffusion.probability_flow import flow_draw
from jaxvae.models.diffusion.process import Process, diffused
from jaxvae.models.diffusion.schedules import noise_scale, signal_scale
from jaxvae.models.records import Key, Model, Params, as_model

Array = jax.Array


class Sampler(NamedTuple):
    """How a diffusion draws x; it is its model's `draw`, changed by `with_sampler`.

    Attributes:
        process: of the model.
        told: what tells the context to networks, or None.
        method: "ancestral", which undoes the steps of the noise by their own law; "ddim", without fresh noise; "flow",
            the ordinary differential equation of the same marginals by Runge-Kutta, four passes a step.
        steps: from t = 1 to t = 0, even in t.
        guidance: w of classifier-free guidance, noise = (1 + w) noise(context) - w noise(unknown); 0 is the model.
        decode: (params, key, code) -> x where the diffusion is one of codes, see `latent_diffusion`; None: it is of x.
    """

    process: Process
    told: Context | None
    method: str = "ancestral"
    steps: int = 100
    guidance: float = 0.0
    decode: Callable[[Params, Key, Array], Array] | None = None

    def __call__(self, params: Params, key: Key, context: Any) -> Array:
        """x of the context's encoding; the key is consumed."""
        key_start, key_steps, key_x, key_decode = jax.random.split(key, 4)
        z = jax.random.normal(key_start, self.process.event_shape)
        label = None if self.told is None else self.told.encode(context)
        x = self.process.decoded(params, key_x, self.latent(params, key_steps, z, label))
        return x if self.decode is None else self.decode(params, key_decode, x)

    def latent(self, params: Params, key: Key, z: Array, label: Any) -> Array:
        """z_0 from z_1; the key is consumed, and used by "ancestral" alone."""
        if self.method == "flow":
            noise = guided(self.process, self.told, label, self.guidance)
            return flow_draw(self.process._replace(noise=noise), params, z, context=label, steps=self.steps)
        found: Array = jax.lax.fori_loop(0, self.steps, lambda step, z: self.stepped(params, key, step, z, label)[0], z)
        return found

    def stepped(self, params: Params, key: Key, step: Any, z: Array, label: Any) -> tuple[Array, Array]:
        """(z one step nearer to the data, the x that the network sees in the z before), for step 0 to steps - 1."""
        gamma, below = (self.process.schedule.gamma(params, (self.steps - step - i) / self.steps) for i in (0, 1))
        found = guided(self.process, self.told, label, self.guidance)(params, z, gamma, label)
        x = predicted_x(found, z, gamma)
        if self.method == "ddim":
            return diffused(x, found, below), x
        return ancestral_step(jax.random.fold_in(key, step), z, found, gamma, below), x


def ancestral_step(key: Key, z: Array, noise: Array, gamma: Array, below: Array) -> Array:
    """z_s ~ p(z_s | z_t) = q(z_s | z_t, x) at the predicted x, for gamma(s) below gamma(t); the key is consumed.

    mean alpha_s / alpha_t (z_t - c sigma_t noise), variance c sigma_s^2, with c = 1 - exp(gamma_s - gamma_t)

    Source: Kingma et al., 2021, arXiv 2107.00630, appendix A.4.
    """
    c = -jnp.expm1(below - gamma)
    mean = signal_scale(below) / signal_scale(gamma) * (z - c * noise_scale(gamma) * noise)
    return mean + jnp.sqrt(c) * noise_scale(below) * jax.random.normal(key, z.shape, z.dtype)


def guided(process: Process, told: Context | None, label: Any, guidance: float) -> Any:
    """process.noise under classifier-free guidance (Ho and Salimans, 2022, arXiv 2207.12598)."""
    if not guidance or told is None:
        return process.noise
    unknown = told.encode(told.example())

    def noise(params: Params, z: Array, gamma: Array, context: Any) -> Array:
        with_label, without = (process.noise(params, z, gamma, c) for c in (context, unknown))
        return with_label + guidance * (with_label - without)

    return noise


def process_of(model: Model) -> Process:
    """The process of a diffusion; raises `TypeError` for another model."""
    return sampler_of(model).process


def with_sampler(model: Model, method: str = "ancestral", *, steps: int = 100, guidance: float = 0.0) -> Model:
    """The diffusion with another way to draw x; its bound stays what it is.

    Args:
        model: of `diffusion_model`.
        method: "ancestral", "ddim" or "flow", see `Sampler`.
        steps: how many; "flow" passes through the network four times in each.
        guidance: above 0 for draws that are more of their class than the data's; it takes a model that knows the label
            "unknown", context=class_labels(count, unknown=True), and was trained with some labels hidden.

    Raises:
        ValueError, TypeError: for a model that is no diffusion, another method, impossible numbers, or guidance of a
            model that was not made for it.

    Source: DDIM: Song, Meng and Ermon, 2021, arXiv 2010.02502; flow: Song et al., 2021, arXiv 2011.13456.

    Example:
        >>> from jaxvae.models.diffusion.bound import diffusion_model
        >>> from jaxvae.networks.denoisers import MLPDenoiser
        >>> model = diffusion_model(MLPDenoiser((2,), hidden=(4,)), event_shape=(2,), draw_steps=3)
        >>> params = model.init(jax.random.key(0), jnp.zeros(2))
        >>> with_sampler(model, "ddim", steps=2).draw(params, jax.random.key(1), None).shape
        (2,)
    """
    sampler = sampler_of(model)
    if method not in ("ancestral", "ddim", "flow"):
        raise ValueError(f"method is {method!r}, expected 'ancestral', 'ddim' or 'flow'.")
    steps = positive_integer("steps", steps)
    finite_number("guidance", guidance)
    if guidance and (sampler.told is None or not sampler.told.optional):
        raise ValueError(
            f"guidance is {guidance}, but the model does not know an unknown label, expected one of "
            f"context=class_labels(count, unknown=True). Leave guidance at 0."
        )
    changed: Any = sampler._replace(method=method, steps=steps, guidance=float(guidance))
    return model._replace(draw=changed)


def sampler_of(model: Model) -> Sampler:
    """The sampler of a diffusion; raises `TypeError` for another model.

    Example:
        >>> import jaxvae
        >>> sampler_of(jaxvae.models.exact.linear_gaussian(jnp.ones((2, 1))))
        Traceback (most recent call last):
        TypeError: model is no diffusion (its draw is None (NoneType)), expected what diffusion_model(...) returns.
    """
    draw = as_model("model", model).draw
    if not isinstance(draw, Sampler):
        raise TypeError(
            f"model is no diffusion (its draw is {shown(draw)}), expected what diffusion_model(...) returns."
        )
    return draw


def denoising_path(
    model: Model, params: Params, key: Key, count: int = 4, *, context: Any = None, shown: int = 8
) -> tuple[Array, Array]:
    """How draws come about: (z, the x that the network sees in it), each [count, shown, *event_shape], noise first.

    Both are in the numbers that noise is added to, about [-1, 1]; the times are even, the last one is a step from 0.

    Args:
        model: a diffusion, whose sampler is "ancestral" or "ddim".
        params: of it.
        key: consumed.
        count: of the draws.
        context: of a conditional model, one for all.
        shown: moments.

    Raises:
        ValueError, TypeError: for a model that is no diffusion, the method "flow", impossible numbers.

    Example:
        >>> from jaxvae.models.diffusion.bound import diffusion_model
        >>> from jaxvae.networks.denoisers import MLPDenoiser
        >>> model = diffusion_model(MLPDenoiser((2,), hidden=(4,)), event_shape=(2,), draw_steps=3)
        >>> params = model.init(jax.random.key(0), jnp.zeros(2))
        >>> z, x = denoising_path(model, params, jax.random.key(1), 2, shown=3)
        >>> z.shape, x.shape
        ((2, 3, 2), (2, 3, 2))
    """
    sampler, count, shown = sampler_of(model), positive_integer("count", count), positive_integer("shown", shown)
    if sampler.method == "flow":
        raise ValueError("the method of the sampler is 'flow', expected 'ancestral' or 'ddim', which go by steps.")
    label = None if sampler.told is None else sampler.told.encode(jnp.asarray(context))

    def one(key: Key) -> tuple[Array, Array]:
        key_start, key_steps = jax.random.split(key)

        def step(z: Array, index: Array) -> tuple[Array, tuple[Array, Array]]:
            after, x = sampler.stepped(params, key_steps, index, z, label)
            return after, (z, x)

        return jax.lax.scan(step, jax.random.normal(key_start, model.event_shape), jnp.arange(sampler.steps))[1]

    places = jnp.round(jnp.linspace(0, sampler.steps - 1, shown)).astype(int)
    found = jax.jit(jax.vmap(one))(jax.random.split(key, count))
    return found[0][:, places], found[1][:, places]
