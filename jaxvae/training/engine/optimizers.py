"""Optimisers and schedules by name."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxvae.checks import finite_number, is_concrete, positive_integer, shown
from jaxvae.traced import surely

Array = jax.Array
OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "adamax": optax.adamax,
    "rmsprop": optax.rmsprop,
    "sgd": optax.sgd,
}


def make_optimizer(
    name: str = "adam",
    learning_rate: float | optax.Schedule = 1e-3,
    *,
    clip: float | None = None,
    weight_decay: float = 0.0,
    eps: float | None = None,
    b1: float | None = None,
) -> optax.GradientTransformation:
    """An Optax optimiser; with `clip`, the gradient is first scaled down to that global norm.

    `eps` is what an adaptive optimiser adds to its denominator, `b1` in [0, 1) how much the Adams keep of the gradients
    before; both by default Optax's own. Two players in one game want a b1 of 0: what the other did before says little.

    Raises:
        ValueError: for an unknown name, a learning rate, clip or eps that is not a positive number, a b1 outside
            [0, 1), a negative weight decay, or one for an optimiser other than adamw, which alone decouples it.

    Example:
        >>> optimizer = make_optimizer("adam", 1e-3, clip=10.0)
    """
    if not isinstance(name, str) or name not in OPTIMIZERS:
        raise ValueError(f"optimizer is {name!r}, expected one of {', '.join(OPTIMIZERS)}.")
    if not callable(learning_rate):
        finite_number("learning_rate", learning_rate, above=True)
    finite_number("weight_decay", weight_decay)
    if name != "adamw" and not surely(weight_decay == 0):
        raise ValueError(f"weight_decay is {weight_decay} but the optimizer is {name!r}. Use 'adamw', or 0.")
    options = {"weight_decay": weight_decay} if name == "adamw" else {}
    if eps is not None:
        finite_number("eps", eps, above=True)
        if name == "sgd":
            raise ValueError(f"eps is {eps} but the optimizer is 'sgd', which has none. Use 'adam', or None.")
        options["eps"] = eps
    if b1 is not None:
        finite_number("b1", b1, 0.0, 1.0, below=True)
        if not name.startswith("adam"):
            raise ValueError(f"b1 is {b1} but the optimizer is {name!r}, which has none. Use 'adam', or None.")
        options["b1"] = b1
    optimizer = OPTIMIZERS[name](learning_rate, **options)
    if clip is None:
        return optimizer
    finite_number("clip", clip, above=True)
    return optax.chain(optax.clip_by_global_norm(clip), optimizer)


def as_optimizer(optimizer: Any) -> optax.GradientTransformation:
    """Returns an Optax transformation; raises `TypeError` for what has no `init` and `update`, such as a name."""
    if isinstance(optimizer, type) or not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(
            f"optimizer is {shown(optimizer)}, expected an Optax transformation such as "
            f"jaxvae.make_optimizer('adam', 1e-3)."
        )
    found: optax.GradientTransformation = optimizer
    return found


def optimizer_by_part(
    parts: Mapping[str, optax.GradientTransformation], default: optax.GradientTransformation
) -> optax.GradientTransformation:
    """One optimiser for each named part of the parameters and another for the rest, each with its own state.

    A global norm, as `clip` uses, is then that of the part. A generator and a critic trained in one step want one each.

    Args:
        parts: {name of a top-level entry of the parameters: its optimiser}.
        default: the optimiser of every other entry.

    Raises:
        ValueError: where parts is empty, or, once the parameters are known, lack a name in it.
        TypeError: for a part that is no Optax transformation.

    Example:
        >>> optimizer = optimizer_by_part({"critic": optax.sgd(1.0)}, optax.sgd(0.1))
        >>> params = {"critic": jnp.zeros(()), "encoder": jnp.zeros(())}
        >>> updates, _ = optimizer.update({"critic": 1.0, "encoder": 10.0}, optimizer.init(params), params)
        >>> float(updates["critic"]), float(updates["encoder"])
        (-1.0, -1.0)
    """
    if not isinstance(parts, Mapping) or not parts:
        raise ValueError(f"parts is {parts!r}, expected a dict such as {{'critic': make_optimizer('adam', 1e-4)}}.")
    for name, optimizer in (*parts.items(), ("default", default)):
        if not isinstance(optimizer, optax.GradientTransformation):
            raise TypeError(f"the optimizer of {name!r} is {optimizer!r}, expected an Optax transformation.")

    def labels(params: Mapping[str, Any]) -> dict[str, str]:
        if missing := sorted(set(parts) - set(params)):
            raise ValueError(
                f"the optimizer has a part {', '.join(missing)}, but the parameters are {', '.join(sorted(params))}. "
                f"Name one of these, or add the part to the model (as with_critic does)."
            )
        return {name: f"part {name}" if name in parts else "rest" for name in params}

    named = {f"part {name}": optimizer for name, optimizer in parts.items()}
    return optax.partition({**named, "rest": default}, labels)


def every_nth_step(optimizer: optax.GradientTransformation, n: int) -> optax.GradientTransformation:
    """The optimiser, taking every n-th step alone: nothing moves and nothing is remembered in between.

    A critic of n steps for each one of its generator is `optimizer_by_part({"critic": c}, every_nth_step(g, n))`: the
    generator learns from the last of n batches, against the critic that the others have taught.

    Raises:
        ValueError, TypeError: for an n that is no integer of at least 1.

    Example:
        >>> optimizer = every_nth_step(optax.sgd(1.0), 2)
        >>> params = jnp.zeros(())
        >>> first, state = optimizer.update(jnp.float32(3.0), optimizer.init(params), params)
        >>> second, state = optimizer.update(jnp.float32(5.0), state, params)
        >>> float(first), float(second)
        (0.0, -5.0)
    """
    if positive_integer("n", n) == 1:
        return optimizer
    return optax.conditionally_mask(optimizer, lambda step: (step + 1) % n == 0)


def learning_rate_schedule(name: str, peak: float, steps: int, warmup_steps: int = 0) -> optax.Schedule:
    """A learning rate that rises linearly for `warmup_steps`, then stays, or falls to 0 at `steps`.

    Args:
        name: "constant", "cosine" or "linear" (the fall).
        peak: the highest learning rate.
        steps: optimiser steps in the whole run.
        warmup_steps: steps of the rise.

    Raises:
        ValueError: for an unknown name, a peak that is not a positive number, or negative warmup_steps.

    Example:
        >>> rate = learning_rate_schedule("linear", 1.0, steps=30, warmup_steps=10)
        >>> [round(float(rate(step)), 2) for step in (0, 5, 10, 20, 30)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    finite_number("learning_rate", peak, above=True)
    finite_number("peak", peak, above=True)
    finite_number("steps", steps)
    warmup_steps = positive_integer("warmup_steps", warmup_steps, 0)
    warn_if_unfinished("learning-rate warm-up", warmup_steps, steps)
    rest = max(1, steps - warmup_steps)
    falls = {
        "constant": optax.constant_schedule(peak),
        "cosine": optax.cosine_decay_schedule(peak, rest),
        "linear": optax.linear_schedule(peak, 0.0, rest),
    }
    if not isinstance(name, str) or name not in falls:
        raise ValueError(f"schedule is {name!r}, expected one of {', '.join(falls)}.")
    if not warmup_steps:
        return falls[name]
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup_steps), falls[name]], [warmup_steps])


def kl_warmup(warmup_steps: int, beta: float = 1.0, *, steps: int | None = None) -> Callable[[Array], Array]:
    """The weight of the KL at a step: from 0 to beta, linearly over `warmup_steps`, then beta.

    Args:
        warmup_steps: steps of the rise, at least 1; a traced number of them may be 0, which is no rise.
        beta: the weight it ends at.
        steps: steps in the whole run; if given, a run too short to finish the warm-up warns.

    Source: Sonderby et al., 2016, arXiv 1602.02282.

    Example:
        >>> weight = kl_warmup(100)
        >>> [round(float(weight(step)), 2) for step in (0, 50, 100, 500)]
        [0.0, 0.5, 1.0, 1.0]
    """
    finite_number("beta", beta)
    if not is_concrete(warmup_steps):
        least = jnp.maximum(warmup_steps, 1)
        return lambda step: beta * jnp.where(warmup_steps > 0, jnp.minimum(1.0, step / least), 1.0)
    warmup_steps = positive_integer("warmup_steps", warmup_steps)
    if steps is not None:
        warn_if_unfinished("KL warm-up", warmup_steps, steps)
    return lambda step: beta * jnp.minimum(1.0, step / warmup_steps)


def warn_if_unfinished(what: str, warmup_steps: int, steps: int) -> None:
    """Warns if a run ends before its warm-up does, so that its numbers belong to another objective."""
    if warmup_steps > steps:
        warnings.warn(
            f"the {what} takes {warmup_steps} steps but the run ends after {steps}: it never reaches full weight. "
            f"Train longer or shorten the warm-up.",
            stacklevel=3,
        )
