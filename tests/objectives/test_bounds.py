"""The bounds on a model whose log p(x) is known, against differences, and at the edges of their options."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from oracles import user_jit

from jaxvae.math.normal import normal_kl_standard, normal_log_prob, reparameterize
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.objectives.importance import ciwae_bound, miwae_bound
from jaxvae.objectives.rates import balanced_bound, capacity_bound, free_bits_bound
from jaxvae.objectives.renyi import renyi_bound, vr_max_bound
from jaxvae.objectives.terms import Terms

PIXELS, LATENTS, NOISE = 784, 20, 0.3


def linear_gaussian(seed=0):
    """z ~ N(0, I), x | z ~ N(W z, NOISE^2 I), W with orthogonal columns, so that the posterior is diagonal.

    Returns W, one x, the posterior's mean and log-variance, and the exact log p(x), in float64.
    """
    draw = np.random.default_rng(seed)
    directions, _ = np.linalg.qr(draw.normal(size=(PIXELS, LATENTS)))
    sizes = np.linspace(0.2, 8.0, LATENTS)
    weights = directions * sizes
    x = weights @ draw.normal(size=LATENTS) + NOISE * draw.normal(size=PIXELS)
    precision = 1.0 + sizes**2 / NOISE**2
    mean = (weights.T @ x) / NOISE**2 / precision
    covariance = weights @ weights.T + NOISE**2 * np.eye(PIXELS)
    _, log_det = np.linalg.slogdet(2 * np.pi * covariance)
    log_p = -0.5 * (log_det + x @ np.linalg.solve(covariance, x))
    return weights, x, mean, -np.log(precision), log_p


def terms_of(key, weights, x, mean, log_var, noise=NOISE, analytic=False):
    z = reparameterize(key, mean, log_var)
    log_likelihood = normal_log_prob(x, weights @ z, 2.0 * jnp.log(noise))
    log_ratio = normal_log_prob(z, 0.0, 0.0) - normal_log_prob(z, mean, log_var)
    kl = jax.vmap(normal_kl_standard)(mean, log_var) if analytic else -log_ratio[None]
    return Terms(log_likelihood, kl, log_likelihood + log_ratio, jnp.zeros(()), z, None)


def sampled(key, samples, *model, **options):
    keys = jax.random.split(key, samples)
    return jax.vmap(lambda key: terms_of(key, *model, **options))(keys)


@pytest.mark.rows(every=2)
@pytest.mark.rows(slow=["5000-0", "50-0", "1-0"])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("samples", [1, 5, 50, 5000])
def test_exact_posterior_makes_every_bound_exact(samples, seed):
    *model, log_p = linear_gaussian()
    model = [jnp.float32(a) for a in model]

    @user_jit
    def bounds(key):
        terms = sampled(key, samples, *model)
        return elbo(terms), iwae_bound(terms)

    found = np.float64(bounds(jax.random.key(seed)))
    np.testing.assert_allclose(found, log_p, atol=1e-3)


@pytest.mark.slow
def test_the_closed_form_kl_gives_the_same_bound_on_average():
    *model, log_p = linear_gaussian()
    model = [jnp.float32(a) for a in model]
    terms = user_jit(lambda key: sampled(key, 5000, *model, analytic=True))(jax.random.key(0))
    assert terms.kl.shape == (5000, LATENTS)
    each = np.float64(terms.log_likelihood) - np.float64(terms.kl).sum(axis=1)
    assert abs(each.mean() - log_p) < 5 * each.std() / np.sqrt(each.size)
    assert float(elbo(terms)) == pytest.approx(each.mean(), rel=1e-6)


def small_model(wrong=0.7):
    """Two latents, three pixels, and a posterior that is off in mean and width."""
    draw = np.random.default_rng(3)
    weights, x = draw.normal(size=(3, 2)), draw.normal(size=3)
    precision = np.eye(2) + weights.T @ weights
    mean = np.linalg.solve(precision, weights.T @ x) + wrong
    covariance = weights @ weights.T + np.eye(3)
    _, log_det = np.linalg.slogdet(2 * np.pi * covariance)
    return (weights, x, mean, np.zeros(2)), -0.5 * (log_det + x @ np.linalg.solve(covariance, x))


@pytest.mark.slow
def test_importance_weighted_bound_climbs_to_log_p_with_samples():
    draws = 100_000
    model, log_p = small_model()
    model = [jnp.float32(a) for a in model]

    @user_jit
    def average(key):
        """Mean and standard error of the bound over `draws` independent sets of 1, 5 and 50 samples."""

        def chunk(key):
            weights = sampled(key, draws // 20 * 50, *model, noise=1.0).log_weight.reshape(draws // 20, 50)
            bound = jax.vmap(lambda w: iwae_bound(Terms(w, w, w, w, None, None)))
            return jnp.stack([bound(weights[:, :k]) for k in (1, 5, 50)])

        bounds = jnp.concatenate(jax.lax.map(chunk, jax.random.split(key, 20)), axis=1)
        return bounds.mean(axis=1), bounds.std(axis=1) / jnp.sqrt(draws)

    mean, error = (np.float64(a) for a in average(jax.random.key(0)))
    assert mean[0] + 3 * error[0] < mean[1]
    assert mean[1] + 3 * error[1] < mean[2]
    assert mean[2] < log_p + 3 * error[2]
    weights, x, centre, log_var = model
    residual = np.float64(x - weights @ centre)
    trace = np.trace(np.float64(weights.T @ weights) @ np.diag(np.exp(np.float64(log_var))))
    exact = -0.5 * (3 * np.log(2 * np.pi) + residual @ residual + trace) - float(normal_kl_standard(centre, log_var))
    assert abs(mean[0] - exact) < 4 * error[0]


def test_one_sample_bound_is_the_one_sample_elbo():
    model, _ = small_model()
    model = [jnp.float32(a) for a in model]

    @user_jit
    def bounds(key):
        terms = sampled(key, 1, *model, noise=1.0)
        return elbo(terms), iwae_bound(terms)

    plain, weighted = bounds(jax.random.key(1))
    assert float(weighted) == pytest.approx(float(plain), rel=1e-6)


BOUNDS = {
    "elbo": elbo,
    "elbo with beta": lambda terms: elbo(terms, beta=2.5),
    "iwae": iwae_bound,
    "miwae": lambda terms: miwae_bound(terms, groups=2),
    "ciwae": lambda terms: ciwae_bound(terms, beta=0.3),
    "renyi": lambda terms: renyi_bound(terms, alpha=0.5),
    "renyi above 1": lambda terms: renyi_bound(terms, alpha=2.5),
    "renyi at 1": lambda terms: renyi_bound(terms, alpha=1.0),
    "vr-max": vr_max_bound,
    "capacity": lambda terms: capacity_bound(terms, capacity=0.4, gamma=3.0),
    "free bits": lambda terms: free_bits_bound(terms, free_nats=0.3),
}


@pytest.mark.rows(every_slow=6)
@pytest.mark.rows(quick=["iwae-True"])
@pytest.mark.parametrize("analytic", [False, True])
@pytest.mark.parametrize("name", BOUNDS)
def test_gradients_agree_with_central_differences(name, analytic):
    with jax.enable_x64(True):
        model = [jnp.asarray(a) for a in small_model()[0]]

        @user_jit
        def value_and_slopes(weights, mean, log_var):
            def bound(weights, mean, log_var):
                terms = sampled(jax.random.key(2), 6, weights, model[1], mean, log_var, noise=1.0, analytic=analytic)
                return BOUNDS[name](terms)

            return jax.value_and_grad(bound, argnums=(0, 1, 2))(weights, mean, log_var)

        point = [model[0], model[2], model[3]]
        _, slopes = value_and_slopes(*point)
        for which, slope in enumerate(slopes):
            for index in np.ndindex(slope.shape):

                def value(step, which=which, index=index):
                    there = list(point)
                    there[which] = point[which].at[index].add(step)
                    return value_and_slopes(*there)[0]

                h = 1e-3
                # Fourth order, so that rounding and truncation both stay far below the tolerance.
                central = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
                assert float(slope[index]) == pytest.approx(float(central), rel=1e-6, abs=1e-9)


def hand_terms(log_likelihood=-80.0, kl=(20.0, 5.0)):
    log_likelihood, kl = jnp.float32(log_likelihood), jnp.array(kl, jnp.float32)
    return Terms(log_likelihood, kl, log_likelihood - kl.sum(), jnp.zeros(()), None, None)


def test_elbo_by_hand():
    assert float(elbo(hand_terms())) == -105.0
    assert float(elbo(hand_terms(), beta=4.0)) == -180.0
    assert float(elbo(hand_terms(), beta=0.0)) == -80.0
    assert float(elbo(hand_terms(kl=()))) == -80.0
    two = jax.tree.map(lambda *rows: jnp.stack(rows), hand_terms(), hand_terms(-90.0, (1.0, 2.0)))
    assert float(elbo(two)) == (-105.0 - 93.0) / 2


def test_beta_may_follow_a_schedule_inside_jit():
    found = user_jit(lambda beta: elbo(hand_terms(), beta))(jnp.float32(2.0))
    assert float(found) == -130.0
    assert float(jax.grad(lambda beta: elbo(hand_terms(), beta))(2.0)) == -25.0


@pytest.mark.parametrize("beta", [-1.0, np.nan, np.inf])
def test_impossible_beta(beta):
    with pytest.raises(ValueError, match=f"beta is {beta}, expected a finite number of at least 0"):
        elbo(hand_terms(), beta)


@pytest.mark.parametrize("beta", ["1", None, True, [1.0]])
def test_beta_that_is_no_number(beta):
    with pytest.raises(TypeError, match=r"beta is .*expected a number"):
        elbo(hand_terms(), beta)


def test_importance_weighted_bound_needs_samples():
    with pytest.raises(ValueError, match=r"terms\.log_weight has shape \(\), expected \[K\].*jax\.vmap"):
        iwae_bound(hand_terms())
    none = jax.tree.map(lambda a: jnp.zeros((0, *a.shape)), hand_terms())
    with pytest.raises(ValueError, match="at least one sample"):
        iwae_bound(none)


@pytest.mark.slow
def test_a_sample_of_weight_zero_counts_and_all_of_them_are_minus_infinity():
    weights = jnp.array([0.0, -jnp.inf])
    terms = Terms(weights, weights[:, None], weights, weights, None, None)
    assert float(iwae_bound(terms)) == pytest.approx(np.log(0.5))
    lost = terms._replace(log_weight=jnp.full(2, -jnp.inf))
    assert float(iwae_bound(lost)) == -np.inf
    slope = jax.grad(lambda w: iwae_bound(lost._replace(log_weight=w)))(lost.log_weight)
    np.testing.assert_array_equal(slope, 0.0)


def weighted(*log_weights):
    w = jnp.float32(log_weights)
    return Terms(w, jnp.zeros((w.size, 1)), w, jnp.zeros_like(w), None, None)


def of_mpmath(log_weights, alpha):
    """The Renyi bound from its definition, in 60 digits; alpha = 1 from its neighbours."""
    with mpmath.workdps(60):
        w = [mpmath.mpf(float(np.float32(l))) for l in log_weights]
        power = 1 - mpmath.mpf(float(np.float32(alpha)))
        power = power if power else mpmath.mpf(10) ** -30
        return float(mpmath.log(mpmath.fsum(mpmath.exp(power * l) for l in w) / len(w)) / power)


ALPHAS = [-500.0, -2.0, 0.0, 0.5, 0.999, 1 - 2.0**-20, 1.0, 1 + 2.0**-20, 1.001, 2.0, 30.0, 500.0]


@pytest.mark.rows(slow=["log_weights0"])
@pytest.mark.parametrize("log_weights", [[-90.0, -91.5, -88.2, -104.0], [0.1, 0.2, -0.1], [-1e4, -1e4 - 50.0], [-3.0]])
def test_renyi_bound_keeps_its_digits_for_every_alpha(log_weights):
    found = user_jit(jax.vmap(lambda alpha: renyi_bound(weighted(*log_weights), alpha)))(jnp.float32(ALPHAS))
    exact = [of_mpmath(log_weights, alpha) for alpha in ALPHAS]
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-6)
    for place in (2, 6, 9):
        alone = float(renyi_bound(weighted(*log_weights), ALPHAS[place]))
        assert alone == pytest.approx(exact[place], rel=1e-6, abs=1e-6)


def test_renyi_bound_at_its_limits():
    terms = weighted(-3.0, -1.0, -2.0)
    assert float(renyi_bound(terms, 0.0)) == pytest.approx(float(iwae_bound(terms)), rel=1e-6)
    assert float(renyi_bound(terms, 1.0)) == -2.0
    assert float(renyi_bound(terms, -1e30)) == float(vr_max_bound(terms)) == -1.0
    assert float(renyi_bound(terms, 1e30)) == -3.0
    values = [float(renyi_bound(terms, alpha)) for alpha in (-9.0, -1.0, 0.0, 0.5, 1.0, 2.0, 9.0)]
    assert values == sorted(values, reverse=True)


IMPORTANCE = {
    "iwae": iwae_bound,
    "miwae": lambda terms: miwae_bound(terms, groups=1),
    "ciwae": lambda terms: ciwae_bound(terms, beta=0.0),
    "renyi": lambda terms: renyi_bound(terms, alpha=0.0),
    "renyi below 0": lambda terms: renyi_bound(terms, alpha=-1.0),
    "vr-max": vr_max_bound,
}


@pytest.mark.rows(every=2)
@pytest.mark.rows(slow=["renyi"])
@pytest.mark.parametrize("name", IMPORTANCE)
def test_lost_samples_are_counted_and_a_nan_is_kept(name):
    def of(log_weights):
        return IMPORTANCE[name](weighted(0.0)._replace(log_weight=log_weights, log_likelihood=log_weights))

    bound = jax.value_and_grad(of)
    value, slope = bound(jnp.array([-1.0, -jnp.inf, -2.0]))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    assert slope[1] == 0
    value, slope = bound(jnp.full(3, -jnp.inf))
    assert value == -np.inf
    assert not np.isnan(slope).any()
    assert np.isnan(bound(jnp.array([-1.0, jnp.nan, -2.0]))[0])


@pytest.mark.parametrize("alpha", [1.0, 3.0])
def test_a_lost_sample_is_the_end_of_a_pessimistic_renyi_bound(alpha):
    lost = jnp.array([-1.0, -jnp.inf])
    value, slope = jax.value_and_grad(lambda w: renyi_bound(weighted(0.0)._replace(log_weight=w), alpha))(lost)
    assert value == -np.inf
    assert not np.isnan(slope).any()


@pytest.mark.slow
def test_between_the_elbo_and_the_importance_weighted_bound():
    terms = weighted(-3.0, -1.0, -2.0, -5.0)
    low, high = float(elbo(terms)), float(iwae_bound(terms))
    by_groups = [float(miwae_bound(terms, groups)) for groups in (1, 2, 4)]
    assert by_groups[0] == high
    assert by_groups[2] == low
    pairs = (np.log(np.mean(np.exp([-3.0, -1.0]))) + np.log(np.mean(np.exp([-2.0, -5.0])))) / 2
    assert by_groups[1] == pytest.approx(pairs, rel=1e-6)
    assert low < by_groups[1] < high
    assert [float(ciwae_bound(terms, beta)) for beta in (0.0, 1.0)] == [high, low]
    assert float(ciwae_bound(terms, 0.25)) == pytest.approx(0.25 * low + 0.75 * high, rel=1e-6)


def stacked(*kls):
    return jax.tree.map(lambda *rows: jnp.stack(rows), *(hand_terms(kl=kl) for kl in kls))


def test_the_capacity_holds_the_kl_where_it_is_told():
    terms = hand_terms()
    assert float(capacity_bound(terms, 25.0)) == -80.0
    assert float(capacity_bound(terms, 0.0, gamma=4.0)) == float(elbo(terms, beta=4.0))
    assert float(capacity_bound(terms, 1e6, gamma=2.0)) == -80.0 - 2.0 * (1e6 - 25.0)
    assert float(capacity_bound(terms, 0.0, gamma=0.0)) == -80.0
    slope = jax.grad(lambda kl, capacity: capacity_bound(terms._replace(kl=kl), capacity, 3.0))
    assert slope(terms.kl, 30.0).tolist() == [3.0, 3.0]
    assert slope(terms.kl, 20.0).tolist() == [-3.0, -3.0]


def test_free_bits_by_hand_per_example_and_over_the_minibatch():
    batch = stacked((4.0, 1.0), (0.0, 7.0))
    assert float(free_bits_bound(batch, 3.0)) == -80.0 - (3.0 + 4.0)  # means 2 and 4: the paper's order
    each = [float(free_bits_bound(jax.tree.map(lambda a, i=i: a[i][None], batch), 3.0)) for i in range(2)]
    assert each == [-80.0 - (4.0 + 3.0), -80.0 - (3.0 + 7.0)]
    assert float(free_bits_bound(batch, 0.0)) == float(elbo(batch))
    assert float(free_bits_bound(batch, 1e6)) == -80.0 - 2e6
    assert float(free_bits_bound(batch, 5.0, groups=1)) == -80.0 - 6.0
    slope = jax.grad(lambda kl: free_bits_bound(batch._replace(kl=kl), 3.0))(batch.kl)
    assert slope.tolist() == [[0.0, -0.5], [0.0, -0.5]]


def test_balance_weighs_each_group_by_what_it_tells():
    terms = hand_terms(kl=(6.0, 2.0, 0.0))
    weights = np.array([6.0, 2.0, 0.0]) * 3 / 8
    assert float(balanced_bound(terms)) == pytest.approx(-80.0 - weights @ [6.0, 2.0, 0.0])
    slope = jax.grad(lambda kl: balanced_bound(terms._replace(kl=kl), beta=0.5))(terms.kl)
    np.testing.assert_allclose(slope, -0.5 * weights, rtol=1e-6)  # the weights are constants
    assert float(balanced_bound(terms, sizes=(3, 1, 1))) == -80.0 - 1.5 * (6.0 + 2.0)
    assert float(balanced_bound(hand_terms(kl=(0.0, 0.0)))) == -80.0
    assert float(balanced_bound(terms, beta=0.0)) == -80.0


@pytest.mark.parametrize(
    ("call", "exception", "words"),
    [
        (lambda t: miwae_bound(t, 3), ValueError, "groups is 3, expected a divisor of the 4 samples"),
        (lambda t: miwae_bound(t, 0), ValueError, "groups is 0, expected an integer of at least 1"),
        (lambda t: miwae_bound(t, 2.0), TypeError, "groups is 2.0"),
        (lambda t: ciwae_bound(t, -0.1), ValueError, "beta is -0.1, expected a finite number of at least 0"),
        (lambda t: ciwae_bound(t, 1.5), ValueError, "at most 1"),
        (lambda t: renyi_bound(t, np.nan), ValueError, "alpha is nan"),
        (lambda t: renyi_bound(t, np.inf), ValueError, "alpha is inf"),
        (lambda t: renyi_bound(t, "1"), TypeError, "alpha is '1'"),
        (lambda t: renyi_bound(hand_terms(), 0.5), ValueError, r"log_weight has shape \(\), expected \[K\]"),
        (lambda t: vr_max_bound(hand_terms()), ValueError, r"expected \[K\]"),
        (lambda t: vr_max_bound(jax.tree.map(lambda a: a[:0], t)), ValueError, "at least one sample"),
        (lambda t: renyi_bound(jax.tree.map(lambda a: a[:0], t), 0.5), ValueError, "at least one sample"),
        (lambda t: capacity_bound(t, -1.0), ValueError, "capacity is -1.0"),
        (lambda t: capacity_bound(t, 1.0, gamma=-1.0), ValueError, "gamma is -1.0"),
        (lambda t: capacity_bound(t, np.inf), ValueError, "capacity is inf"),
        (lambda t: free_bits_bound(t, -0.5), ValueError, "free_nats is -0.5"),
        (lambda t: free_bits_bound(t, 0.5, groups=2), ValueError, "groups is 2, expected a divisor of the 1 KL"),
        (lambda t: balanced_bound(t, sizes=(1, 2)), ValueError, r"sizes is \(1, 2\), expected 1 positive integers"),
        (lambda t: balanced_bound(t, sizes=(0,)), ValueError, "sizes is 0"),
        (lambda t: balanced_bound(t, beta=-1.0), ValueError, "beta is -1.0"),
    ],
)
def test_impossible_options(call, exception, words):
    with pytest.raises(exception, match=words):
        call(weighted(-3.0, -1.0, -2.0, -5.0))
