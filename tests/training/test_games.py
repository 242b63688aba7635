"""The games of two players from logits alone: their formulas, their best critics, and the slope penalty."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from jaxvae.objectives.adversarial import (
    gradient_penalty,
    hinge,
    least_squares,
    minimax,
    non_saturating,
    relativistic,
    wasserstein,
    zero_centred_penalty,
)

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)


def log_sigmoid(t):
    return -mpmath.log(1 + mpmath.exp(-t))


# For each game what a real logit costs the critic, a generated one the critic, and a generated one the generator.
TRUTH = {
    minimax: (lambda r: -log_sigmoid(r), lambda f: -log_sigmoid(-f), lambda f: log_sigmoid(-f)),
    non_saturating: (lambda r: -log_sigmoid(r), lambda f: -log_sigmoid(-f), lambda f: -log_sigmoid(f)),
    hinge: (lambda r: max(0, 1 - r), lambda f: max(0, 1 + f), lambda f: -f),
    wasserstein: (lambda r: -r, lambda f: f, lambda f: -f),
    least_squares: (lambda r: (r - 1) ** 2 / 2, lambda f: f**2 / 2, lambda f: (f - 1) ** 2 / 2),
}


@pytest.mark.rows(slow=["minimax"])
@pytest.mark.parametrize("make", TRUTH)
def test_every_game_is_its_formula_up_to_logits_of_ten_thousand(make):
    game, truth = make(), TRUTH[make]
    points = np.float32([-1e4, -300.0, -20.0, -0.7, 0.0, 0.3, 30.0, 1e4])
    functions = (
        lambda t: game.critic(t, jnp.float32(0)) - game.critic(jnp.float32(0), jnp.float32(0)),
        lambda t: game.critic(jnp.float32(0), t) - game.critic(jnp.float32(0), jnp.float32(0)),
        game.generator,
    )
    for function, exact, origin in zip(functions, truth, (True, True, False), strict=True):
        value, slope = jax.jit(jax.vmap(jax.value_and_grad(function)))(points)
        with mpmath.workdps(50):
            at = [mpmath.mpf(float(p)) for p in points]
            expected = [float(exact(t) - (exact(mpmath.mpf(0)) if origin else 0)) for t in at]
            slopes = [float(mpmath.diff(exact, t)) for t in at]
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(slope, slopes, rtol=1e-5, atol=1e-30)
    several = game.critic(points, points[::-1])
    alone = [game.critic(a, b) for a, b in zip(points, points[::-1], strict=True)]
    assert float(several) == pytest.approx(np.mean(alone))


def test_the_relativistic_game_is_the_formula_of_each_pair_and_wants_pairs():
    game = relativistic()
    real, fake = np.float32([-300.0, 0.3, 2.0, 1e4]), np.float32([-20.0, 0.3, -1e4, 30.0])
    with mpmath.workdps(50):
        apart = [mpmath.mpf(float(r)) - mpmath.mpf(float(f)) for r, f in zip(real, fake, strict=True)]
        critic, generator = (float(-sum(log_sigmoid(sign * d) for d in apart) / 4) for sign in (1, -1))
    assert float(game.critic(real, fake)) == pytest.approx(critic, rel=1e-6)
    assert float(game.generator(fake, real)) == pytest.approx(generator, rel=1e-6)
    slopes = [float(mpmath.exp(log_sigmoid(-d))) / 4 for d in apart]  # sigmoid(fake - real), a share of the mean
    found = jax.jit(jax.grad(game.critic, (0, 1)))(real, fake)
    np.testing.assert_allclose(found, [np.negative(slopes), slopes], rtol=1e-5, atol=1e-30)
    behind = [float(mpmath.exp(log_sigmoid(d))) / 4 for d in apart]
    np.testing.assert_allclose(jax.grad(game.generator)(fake, real), np.negative(behind), rtol=1e-5, atol=1e-30)
    assert game.pairs
    with pytest.raises(ValueError, match="compares one with one"):
        game.critic(real, fake[:3])


def test_the_zero_centred_penalty_is_half_the_squared_slope():
    x = jnp.array([0.3, -1.0, 2.0])
    matrix = jnp.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 3.0]])
    found = zero_centred_penalty(lambda x: 0.5 * x @ matrix @ x, x)
    assert float(found) == pytest.approx(0.5 * float(((matrix @ x) ** 2).sum()), rel=1e-6)


COUNTS = np.array([1, 4, 5, 10]), np.array([5, 5, 6, 4])  # two densities over four points, in twentieths


def repeated(logits, counts):
    return jnp.repeat(logits, counts, total_repeat_length=20)


@pytest.mark.slow
def test_the_best_critic_of_two_known_densities_gives_their_jensen_shannon_divergence():
    p, q = (counts / 20 for counts in COUNTS)
    middle = (p + q) / 2
    divergence = 0.5 * (p * np.log(p / middle)).sum() + 0.5 * (q * np.log(q / middle)).sum()

    def loss(logits):
        return minimax().critic(repeated(logits, COUNTS[0]), repeated(logits, COUNTS[1]))

    best = jnp.float32(np.log(p / q))
    assert -float(loss(best)) == pytest.approx(2 * divergence - np.log(4), rel=1e-6)
    np.testing.assert_allclose(jax.grad(loss)(best), 0, atol=1e-7)
    # No other critic does better.
    for logits in 0.3 * np.random.default_rng(0).normal(size=(10, 4)):
        assert float(loss(best + jnp.float32(logits))) > float(loss(best))


@pytest.mark.slow
def test_the_best_critic_of_least_squares_and_of_the_earth_movers_distance():
    p, q = (counts / 20 for counts in COUNTS)
    best = jnp.float32(p / (p + q))
    found = least_squares().critic(repeated(best, COUNTS[0]), repeated(best, COUNTS[1]))
    assert float(found) == pytest.approx(0.5 * (p * q / (p + q)).sum(), rel=1e-6)
    # On a line the distance is the area between the distribution functions; the best slope is its sign.
    slopes = np.sign(np.cumsum(q - p)[:-1])
    potential = jnp.float32(np.concatenate([[0], np.cumsum(slopes)]))
    found = -wasserstein().critic(repeated(potential, COUNTS[0]), repeated(potential, COUNTS[1]))
    assert float(found) == pytest.approx(np.abs(np.cumsum(q - p)).sum(), rel=1e-6)


@pytest.mark.slow
def test_gradient_penalty_of_known_slopes():
    real, fake, weights = jnp.array([3.0, -1.0]), jnp.array([0.5, 2.0]), jnp.array([3.0, 4.0])
    assert float(gradient_penalty(lambda x: weights @ x, KEY, real, fake)) == 16.0
    # The slope of |x - fake|^2 / 2 is x - fake = u (real - fake), so the point's place u can be read off.
    penalty = jax.vmap(lambda k: gradient_penalty(lambda x: 0.5 * jnp.sum((x - fake) ** 2), k, real, fake))
    root = jnp.sqrt(jax.jit(penalty)(jax.random.split(KEY, 500)))
    length = float(jnp.linalg.norm(real - fake))
    assert 0 <= float(root.min()) < 0.05
    assert max(1.0, 0.95 * (length - 1)) < float(root.max()) < length - 1


@pytest.mark.slow
def test_gradient_penalty_of_a_flat_critic_has_a_finite_gradient():
    x = jnp.ones(3)
    value, slope = jax.value_and_grad(lambda w: gradient_penalty(lambda x: jnp.sum(w * x), KEY, x, -x))(jnp.zeros(3))
    assert float(value) == 1.0
    np.testing.assert_array_equal(slope, 0.0)
