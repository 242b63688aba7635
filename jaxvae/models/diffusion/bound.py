"""The infinitely deep VAE: noise in small steps up, a network that takes it off again down, scored by one bound.

    -log p(x) <= -E log p(x | z_0) + KL(q(z_1 | x) || N(0, I)) + 1/2 E gamma'(t) |noise - predicted noise|^2

Noise and time are drawn, one of each: the bound is the mean of an estimate, and nothing else of it may be taken.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_float, is_concrete, positive_integer
from jaxvae.math.normal import normal_kl_standard
from jaxvae.models.contexts import Context, as_context, split_context
from jaxvae.models.densities.density import no_code
from jaxvae.models.diffusion.predictions import as_prediction, predicted_noise
from jaxvae.models.diffusion.process import Process, diffused, reading
from jaxvae.models.diffusion.samplers import Sampler
from jaxvae.models.diffusion.schedules import NoiseSchedule, linear_schedule, signal_scale
from jaxvae.models.events import as_shape
from jaxvae.models.inputs import as_observation, example_check
from jaxvae.models.meaning import absent
from jaxvae.models.observations.continuous import bernoulli
from jaxvae.models.records import Key, Model, Network, Observation, Params, as_network, merge, part_of
from jaxvae.objectives.terms import Terms
from jaxvae.randomness import applied

Array = jax.Array
TIME = "time"  # beside a model's parameters: the draw in [0, 1) that its time is made of, where a loss has one


def diffusion_model(
    network: Network,
    observation: Observation | None = None,
    schedule: NoiseSchedule | None = None,
    *,
    event_shape: tuple[int, ...],
    prediction: str = "v",
    steps: int | None = None,
    context: int | tuple[int, ...] | Context | None = None,
    draw_steps: int = 100,
) -> Model:
    r"""A diffusion as a model: `Terms.kl` is [diffusion, prior], and its evidence a "bound".

    In continuous time the diffusion term is 1/2 gamma'(t) |noise - predicted|^2 at a uniform t; in T steps
    T/2 expm1(gamma(t) - gamma(t - 1/T)) |noise - predicted|^2 at t = i / T, i uniform in 1..T: the KL of one of T
    latents, times T. `bound_loss(model)` trains it; `losses.even_times_loss(model)` does so with half the noise.

    Args:
        network: `.apply(variables, z, gamma [], context)` returns the prediction, of z's shape, or, where that is
            "levels", [..., C * levels]; the context is None, or what networks see of one.
        observation: which x there are, and p(x | z_0): `bernoulli()`, the default, for x of 0 and 1; `categorical` of
            as many levels as the data have; `normal` of a fixed or learned std.
        schedule: by default `linear_schedule()`; its ends fit 256 levels.
        event_shape: the shape [..., C] of one example.
        prediction: what the network predicts: "noise", "x0", "v" or "levels", see `predicted_noise`.
        steps: T; None is continuous time.
        context: as `conditional_vae` takes it; x is then `Labelled(value, context)`.
        draw_steps: of ancestral sampling in `generation.draw`; `with_sampler` has other samplers.

    Returns:
        A `Model` without codes or posterior; its parameters are {"denoiser": ...} and the schedule's.

    Raises:
        ValueError, TypeError: for impossible parts, or later a network that returns another shape.

    Source: Kingma, Salimans, Poole and Ho, 2021, arXiv 2107.00630; Ho, Jain and Abbeel, 2020, arXiv 2006.11239.

    Example:
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> class Net:  # any network of z, gamma and a context
        ...     inner = MLPDecoder((2, 1), hidden=(8,))
        ...     def init(self, key, z, gamma, context):
        ...         return self.inner.init(key, jnp.append(z, gamma))
        ...     def apply(self, variables, z, gamma, context):
        ...         return self.inner.apply(variables, jnp.append(z, gamma))
        >>> model = diffusion_model(Net(), event_shape=(2, 1))
        >>> params = model.init(jax.random.key(0), jnp.zeros((2, 1)))
        >>> terms = model.terms(params, jax.random.key(1), jnp.ones((2, 1)))
        >>> terms.kl.shape, model.evidence
        ((2,), 'bound')
    """
    as_network("network", network, "jaxvae.networks.denoisers.MLPDenoiser(event_shape)")
    event_shape, observation = as_shape("event_shape", event_shape), as_observation(observation)
    schedule = linear_schedule() if schedule is None else schedule
    if not isinstance(schedule, NoiseSchedule):
        raise TypeError(f"schedule is {schedule!r}, expected a NoiseSchedule. Call one, such as linear_schedule().")
    prediction, levels = as_prediction(prediction), _levels(observation)
    if prediction == "levels" and levels is None:
        raise ValueError(
            f"prediction is 'levels', but the x of observation {observation.name!r} has none, expected bernoulli() or "
            f"categorical(levels). Take prediction='v'."
        )
    steps = None if steps is None else positive_integer("steps", steps)
    told = None if context is None else as_context(context)
    if observation.name == "bernoulli":
        observation = observation._replace(check=_check_binary)
    check, (scaled, outputs) = example_check(observation, event_shape), reading(observation)
    width = event_shape[-1] * (levels if prediction == "levels" and levels else 1)
    expected = (*event_shape[:-1], width)

    def noise_in(params: Params, z: Array, gamma: Array, context: Any) -> Array:
        output = as_float("the network's output", applied(network, part_of(params, "denoiser"), z, gamma, context))
        if output.shape != expected:
            raise ValueError(
                f"the network returned {output.shape}, expected {expected} for one z of shape {event_shape} and "
                f"prediction {prediction!r}. It must work without a batch axis."
            )
        return predicted_noise(prediction, output, z, gamma)

    process = Process(schedule, noise_in, scaled, outputs, observation, event_shape)

    def encoded(x: Any) -> tuple[Array, Any]:
        if told is None:
            return x, None
        value, label = split_context(told, x, "x")
        return value, told.encode(label)

    def init(key: Key, x: Any) -> Params:
        key_network, key_schedule = jax.random.split(key)
        z = jnp.zeros(event_shape, jnp.float32)
        variables = network.init(key_network, z, jnp.zeros((), jnp.float32), encoded(x)[1])
        return merge({"denoiser": variables}, schedule.init(key_schedule), observation.init())

    def terms(params: Params, key: Key, x: Any) -> Terms:
        value, label = encoded(x)
        check(value)
        key_time, key_start, key_noise = jax.random.split(key, 3)
        data, (first, last) = scaled(value), process.ends(params)
        start = diffused(data, jax.random.normal(key_start, event_shape, data.dtype), first)
        log_p = observation.log_prob(params, value, outputs(start, first))
        prior = normal_kl_standard(signal_scale(last) * data, -jax.nn.softplus(-last))
        gamma, weight = time_and_weight(schedule, steps, params, params.get(TIME, jax.random.uniform(key_time)))
        noise = jax.random.normal(key_noise, event_shape, data.dtype)
        found = noise_in(params, diffused(data, noise, gamma), gamma, label)
        kl = jnp.stack([weight * jnp.sum((noise - found) ** 2), prior])
        return Terms(log_p, kl, log_p - kl.sum(), jnp.zeros_like(log_p), start, None)

    nowhere = absent("a diffusion has a latent for every moment, and no code of an example. Use generation.draw.")
    likelihood = absent("a diffusion draws x through a latent for every moment. Use generation.draw.")
    sampler: Any = Sampler(process, told, steps=positive_integer("draw_steps", draw_steps))
    return Model(
        init, terms, nowhere, no_code(), likelihood, event_shape, observation.to_unit, observation.check, told, "bound",
        sampler,
    )  # fmt: skip


def time_and_weight(schedule: NoiseSchedule, steps: int | None, params: Params, u: Array) -> tuple[Array, Array]:
    """gamma(t) and the weight of |noise - predicted|^2, of a uniform draw u in [0, 1).

    Example:
        >>> weight = time_and_weight(linear_schedule(-10.0, 6.0), None, {}, jnp.float32(0.25))[1]
        >>> float(weight)  # gamma' / 2
        8.0
    """
    if steps is None:
        gamma, slope = jax.jvp(lambda t: schedule.gamma(params, t), (u,), (jnp.ones_like(u),))
        return gamma, slope / 2
    index = jnp.clip(jnp.floor(u * steps), 0, steps - 1)
    above, below = (schedule.gamma(params, (index + i) / steps) for i in (1, 0))
    return above, steps / 2 * jnp.expm1(above - below)


def _check_binary(x: Array, name: str = "x") -> None:
    """Raises for values other than 0 and 1: between them p(x | z_0), nearly certain, has no chance to give."""
    bernoulli().check(x, name)
    if is_concrete(x) and (grey := (np.asarray(x) != 0) & (np.asarray(x) != 1)).any():
        raise ValueError(
            f"{name} has the value {np.asarray(x)[grey][0]}, expected 0 and 1 alone for a diffusion of bernoulli(). "
            f"Binarise it (protocol 'dynamic' or 'threshold'), or take the levels: categorical(256)."
        )


def _levels(observation: Observation) -> int | None:
    return {"bernoulli": 2, "categorical": observation.channels}.get(observation.name)
