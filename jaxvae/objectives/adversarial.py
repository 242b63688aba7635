"""Adversarial losses, from the critic's logits: what it minimises, and what the generator minimises."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.roles import floats, function, key

Array = jax.Array


class AdversarialLoss(NamedTuple):
    """What critic and generator minimise, each from the critic's outputs alone; means over whatever axes those have.

    Attributes:
        critic: (logits of real examples [...], logits of generated ones [...]) -> [] nats.
        generator: (logits of generated ones [...]) -> [] nats; with `pairs` it is given those of real ones too.
        pairs: whether generated examples are compared with real ones, one each, so that the generator sees both.
    """

    critic: Callable[[Array, Array], Array]
    generator: Callable[..., Array]
    pairs: bool = False


def minimax() -> AdversarialLoss:
    r"""The GAN as first stated: one value V, which the critic raises and the generator lowers.

    critic: -E log D(real) - E log(1 - D(fake)),  generator: E log(1 - D(fake)),  D = sigmoid(logit)

    At the best critic, logit = log p(x) / q(x), minus the critic's loss is 2 JSD(p, q) - log 4. Where the critic is
    sure of a fake, the generator's gradient vanishes.

    Returns:
        `AdversarialLoss`, in nats.

    Source: Goodfellow et al., 2014, arXiv 1406.2661, equation 1.

    Example:
        >>> loss = minimax()
        >>> round(float(loss.critic(jnp.zeros(3), jnp.zeros(3))), 4)  # log 4: the critic knows nothing
        1.3863
    """
    return AdversarialLoss(_cross_entropy, lambda fake: -_mean(jax.nn.softplus, fake))


def non_saturating() -> AdversarialLoss:
    r"""The critic of `minimax`; the generator raises E log D(fake) instead, whose gradient does not vanish.

    critic: -E log D(real) - E log(1 - D(fake)),  generator: -E log D(fake)

    Returns:
        `AdversarialLoss`, in nats.

    Source: Goodfellow et al., 2014, arXiv 1406.2661, section 3.

    Example:
        >>> round(float(jax.grad(non_saturating().generator)(jnp.float32(-50.0))), 4)
        -1.0
    """
    return AdversarialLoss(_cross_entropy, lambda fake: _mean(lambda logit: jax.nn.softplus(-logit), fake))


def relativistic() -> AdversarialLoss:
    r"""How much more real a real example looks than a generated one, each pair by itself.

    critic: -E log sigmoid(real - fake),  generator: -E log sigmoid(fake - real)

    A generator that draws one thing only loses to every other real one, where other games let it win with that thing:
    with `zero_centred_penalty` at real and at generated examples training converges nearby (R3GAN).

    Returns:
        `AdversarialLoss` with pairs, in nats; log 2 each where the critic knows nothing.

    Raises:
        ValueError: later, for another number of real than of generated examples.

    Source: Jolicoeur-Martineau, 2019, arXiv 1807.00734, the paired form; Huang et al., 2024, arXiv 2501.05441.

    Example:
        >>> loss = relativistic()
        >>> round(float(loss.generator(jnp.float32(-50.0), jnp.float32(0.0))), 4)
        50.0
    """

    def behind(real: Array, fake: Array) -> Array:
        if real.shape != fake.shape:
            raise ValueError(
                f"there are logits {real.shape} of real examples and {fake.shape} of generated ones, expected as many: "
                f"relativistic() compares one with one."
            )
        return _mean(jax.nn.softplus, fake - real)

    return AdversarialLoss(behind, lambda fake, real: behind(fake, real), pairs=True)


def hinge() -> AdversarialLoss:
    r"""Margins of one: the critic stops caring once it is right by 1.

    critic: E max(0, 1 - real) + E max(0, 1 + fake),  generator: -E fake

    Returns:
        `AdversarialLoss`; a number without a unit.

    Source: Lim and Ye, 2017, arXiv 1705.02894; Miyato et al., 2018, arXiv 1802.05957, equations 16 and 17.

    Example:
        >>> float(hinge().critic(jnp.float32(0.5), jnp.float32(-3.0)))
        0.5
    """
    return AdversarialLoss(
        lambda real, fake: _mean(lambda r: jax.nn.relu(1.0 - r), real) + _mean(lambda f: jax.nn.relu(1.0 + f), fake),
        lambda fake: -_mean(lambda f: f, fake),
    )


def wasserstein() -> AdversarialLoss:
    r"""The dual of the earth mover's distance, for a critic of slope at most 1: give it a `gradient_penalty`.

    critic: E fake - E real,  generator: -E fake

    Returns:
        `AdversarialLoss`, in the unit of x where the critic has no unit.

    Source: Arjovsky, Chintala and Bottou, 2017, arXiv 1701.07875.

    Example:
        >>> float(wasserstein().critic(jnp.float32(2.0), jnp.float32(-1.0)))
        -3.0
    """
    return AdversarialLoss(
        lambda real, fake: _mean(lambda f: f, fake) - _mean(lambda r: r, real),
        lambda fake: -_mean(lambda f: f, fake),
    )


def least_squares() -> AdversarialLoss:
    r"""Targets 1 (real) and 0 (fake) for the critic, 1 for the generator.

    critic: 1/2 E (real - 1)^2 + 1/2 E fake^2,  generator: 1/2 E (fake - 1)^2

    Returns:
        `AdversarialLoss`; a number without a unit.

    Source: Mao et al., 2017, arXiv 1611.04076, equation 9.

    Example:
        >>> float(least_squares().generator(jnp.float32(3.0)))
        2.0
    """
    return AdversarialLoss(
        lambda real, fake: 0.5 * _mean(lambda r: (r - 1.0) ** 2, real) + 0.5 * _mean(jnp.square, fake),
        lambda fake: 0.5 * _mean(lambda f: (f - 1.0) ** 2, fake),
    )


@arguments(critic=function("lambda x: critic.apply(params, x)"), key=key(), real=floats("[...]"), fake=floats("[...]"))
def gradient_penalty(critic: Callable[[Array], Array], key: Array, real: Array, fake: Array) -> Array:
    r"""How far the critic's slope is from 1 at a random point between a real and a generated example.

    (|grad critic(u real + (1 - u) fake)| - 1)^2, u ~ Uniform(0, 1)

    Args:
        critic: one example -> [].
        key: a JAX random key; it is consumed.
        real: [...] one example.
        fake: the shape of real.

    Returns:
        [] one pair's penalty, of which a batch takes the mean; the paper's weight is 10. Where the slope is 0 its
        gradient is 0 and not NaN.

    Source: Gulrajani et al., 2017, arXiv 1704.00028, equation 3.

    Example:
        >>> x = jnp.array([1.0, 2.0])
        >>> float(gradient_penalty(lambda x: 3.0 * x[0], jax.random.key(0), x, 0.0 * x))
        4.0
    """
    u = jax.random.uniform(key, (), real.dtype)
    slope = jax.grad(critic)(u * real + (1.0 - u) * fake)
    square = jnp.sum(slope**2)
    flat = square == 0.0
    norm = jnp.where(flat, 0.0, jnp.sqrt(jnp.where(flat, 1.0, square)))
    return (norm - 1.0) ** 2


@arguments(critic=function("lambda x: critic.apply(params, x)"), x=floats("[...]"))
def zero_centred_penalty(critic: Callable[[Array], Array], x: Array) -> Array:
    """How steep the critic is at an example: 1/2 |grad critic(x)|^2, of which weight and mean are the caller's.

    At real examples it is R1, at generated ones R2; with either the games of `non_saturating` and `relativistic`
    converge near a generator that draws as the data are, where without they may circle for ever.

    Args:
        critic: one example -> [].
        x: [...] one example.

    Source: Mescheder, Geiger and Nowozin, 2018, arXiv 1801.04406, equations 9 and 10.

    Example:
        >>> float(zero_centred_penalty(lambda x: 3.0 * x[0] + 4.0 * x[1], jnp.zeros(2)))
        12.5
    """
    return 0.5 * jnp.sum(jax.grad(critic)(x) ** 2)


def _cross_entropy(real: Array, fake: Array) -> Array:
    return _mean(lambda logit: jax.nn.softplus(-logit), real) + _mean(jax.nn.softplus, fake)


@arguments(logits=floats())
def _mean(function: Callable[[Array], Array], logits: Array) -> Array:
    return function(logits).mean()
