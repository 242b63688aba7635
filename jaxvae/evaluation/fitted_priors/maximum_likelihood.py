"""A density trained on samples by maximum likelihood, the best of a run as samples held out judge it."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_seed, positive_integer
from jaxvae.models.densities.density import density_model
from jaxvae.models.meaning import need_real
from jaxvae.models.records import Conditional, Key, Params
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.optimizers import learning_rate_schedule, make_optimizer
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import TrainState
from jaxvae.training.losses.bound import Loss, bound_loss

Array = jax.Array

LOOKS = 20  # how often a run is judged by samples held out, at least


def train_density(
    samples: Array | np.ndarray,
    density: Conditional,
    *,
    steps: int = 2000,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> Params:
    """The parameters of a density that make samples likely: the mean of -log p(x) falls, by Adam.

    The learning rate falls to 0 along a cosine. Every tenth sample is held out, and the parameters kept are those that
    serve it best: a flow overfits. `fit_density` scales the samples first and returns a prior.

    Args:
        samples: float32 [N, Z], at least one batch.
        density: a `Conditional` over [Z] with context None and parameters, as `flow_prior(bijection, Z)`.
        steps: gradient steps.
        batch_size: samples in each.
        learning_rate: where it starts.
        seed: of everything random.

    Raises:
        ValueError, TypeError: for samples or options that are impossible, or a density that is none.
        FloatingPointError: if training meets what is not finite again and again.

    Example:
        >>> from jaxvae.flows.elementary import affine
        >>> from jaxvae.models.priors.flow import flow_prior
        >>> samples = 3.0 + np.random.default_rng(0).normal(size=(500, 1)).astype(np.float32)
        >>> params = train_density(samples, flow_prior(affine(1), 1), steps=300, learning_rate=0.1)
        >>> bool(abs(params["prior"]["shift"][0] - 3.0) < 0.2)
        True
    """
    if not isinstance(density, Conditional):
        raise TypeError(f"density is {density!r}, expected a Conditional. Call a constructor, such as flow_prior(...).")
    need_real(density, "a density of samples", "Train one such as flow_prior.")
    if np.ndim(samples) != 2 or len(samples) == 0:
        raise ValueError(f"samples have shape {np.shape(samples)}, expected (N, Z), at least one.")

    loss = bound_loss(density_model(density, event_shape=np.shape(samples)[1:]))
    key_init, key_run = jax.random.split(jax.random.key(as_seed("seed", seed)))
    start = jax.jit(density.init)(key_init, None)
    if not jax.tree.leaves(start):
        raise ValueError(
            "the density has no parameters, so there is nothing to train. Use fit_normal(codes), or a flow."
        )
    return best_of_a_run(loss, start, key_run, np.asarray(samples), steps, batch_size, learning_rate)


def best_of_a_run(
    loss: Loss, params: Params, key: Key, samples: np.ndarray, steps: int, batch_size: int, learning_rate: float
) -> Params:
    """The best parameters of a run of Adam through the one step and the one loop, as samples held out judge them.

    Args:
        loss: (params, keys, batch, step) -> (scalar, metrics).
        params: where to start.
        key: consumed.
        samples: [N, ...], of which every tenth is held out.
        steps, batch_size, learning_rate: as `train_density`.
    """
    steps = positive_integer("steps", steps)
    held_out = np.arange(len(samples)) % 10 == 9
    optimizer = make_optimizer(learning_rate=learning_rate_schedule("cosine", learning_rate, steps))
    compiled = compile_steps(
        loss, optimizer, lambda key, sample: sample, batch_size=batch_size, steps_per_call=min(steps, 1000), mode="jit"
    )
    state = TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), key, None)
    judged = jnp.asarray(samples[held_out] if held_out.any() else samples)
    keys = jax.random.split(jax.random.fold_in(key, steps), len(judged))
    score = jax.jit(lambda params: loss(params, keys, judged, jnp.int32(0))[0])
    best, lowest, every = params, np.inf, max(1, steps // LOOKS)
    for report in train(compiled, state, samples[~held_out], steps, steps_per_call=every):
        value = float(score(report.state.params))
        if value < lowest:
            best, lowest = jax.tree.map(jnp.copy, report.state.params), value  # the loop reuses the state's memory
    return best
