"""The best q(z | x) of one example, found by optimisation instead of by an encoder."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from jaxvae.checks import finite_number, positive_integer
from jaxvae.math.normal import reparameterize
from jaxvae.models.records import DiagNormal, Key

Array = jax.Array


def fit_posterior(
    log_joint: Callable[[Array], Array],
    start: DiagNormal,
    key: Key,
    *,
    steps: int = 500,
    samples: int = 16,
    learning_rate: float = 0.05,
) -> DiagNormal:
    r"""The diagonal Gaussian that maximises the ELBO of one example, by Adam from a first guess.

    E_q[log p(x, z)] + entropy(q), the expectation over fresh reparameterised samples in every step; the learning rate
    falls to 0 along a cosine, so that their noise dies away.

    Args:
        log_joint: z [Z] -> log p(x, z) [] in nats.
        start: mean [Z] and log_var [Z], for instance what the encoder says.
        key: consumed.
        steps: of Adam.
        samples: posterior samples in each step.
        learning_rate: the first one.

    Returns:
        `DiagNormal` of the shapes of start.

    Raises:
        ValueError, TypeError: if steps or samples is no positive integer, or learning_rate not positive and finite.

    Source: Cremer, Li and Duvenaud, 2018, arXiv 1801.03558, section 5.1.

    Example:
        >>> start = DiagNormal(jax.numpy.zeros(1), jax.numpy.zeros(1))
        >>> q = fit_posterior(lambda z: -2.0 * (z[0] - 3.0) ** 2, start, jax.random.key(0), steps=300)
        >>> bool(abs(q.mean[0] - 3.0) < 0.05), bool(abs(q.log_var[0] + 1.386) < 0.1)  # log 1/4
        (True, True)
    """
    steps, samples = positive_integer("steps", steps), positive_integer("samples", samples)
    finite_number("learning_rate", learning_rate, above=True)
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    def loss(q: DiagNormal, key: Key) -> Array:
        z = jax.vmap(lambda key: reparameterize(key, *q))(jax.random.split(key, samples))
        return -jax.vmap(log_joint)(z).mean() - 0.5 * q.log_var.sum()

    def step(state: tuple[DiagNormal, Any], turn: Array) -> tuple[tuple[DiagNormal, Any], None]:
        q, memory = state
        updates, memory = optimizer.update(jax.grad(loss)(q, jax.random.fold_in(key, turn)), memory, q)
        return (optax.apply_updates(q, updates), memory), None

    first = DiagNormal(*start)
    (best, _), _ = jax.lax.scan(step, (first, optimizer.init(first)), jax.numpy.arange(steps))
    return best
