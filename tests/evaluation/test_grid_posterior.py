"""Posteriors and evidence by a sum over a grid, against closed forms, quadrature and a picture written twice."""

import exact
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from small import Encoder, Linear, small_vae

from jaxvae.evaluation.annealing.annealed import ancestral_sample
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.exact.grid import grid_points, grid_posterior
from jaxvae.evaluation.exact.parts import evidence_parts, gaussian_on_grid
from jaxvae.models.conditional import conditional_vae
from jaxvae.models.contexts import Labelled, class_labels
from jaxvae.models.exact.pixels import FourByFourDecoder, four_by_four
from jaxvae.models.hierarchical import hierarchical_vae
from jaxvae.models.records import DiagNormal
from jaxvae.networks.mlp import MLPEncoder
from jaxvae.training.search.local import fit_posterior

pytestmark = pytest.mark.quick_compile

NOISE, RADIUS, WIDTH = 0.4, 1.2, 0.8


def picture(z, radius=RADIUS, width=WIDTH):
    """The mean of pixel (row, column), as a sentence says it: a spot at 2 pi Phi(z) clockwise from twelve o'clock."""
    angle = 2 * np.pi * stats.norm.cdf(z)
    place = np.array([1.5 - radius * np.cos(angle), 1.5 + radius * np.sin(angle)])  # row, column
    rows, columns = np.mgrid[0:4, 0:4]
    return np.exp(-((rows - place[0]) ** 2 + (columns - place[1]) ** 2) / (2 * width**2))[..., None]


def log_joint(x, z):
    return stats.norm.logpdf(x, picture(z), NOISE).sum() + stats.norm.logpdf(z)


def moment(x, top, power):
    """The integral of z^power p(x, z) exp(-top), by adaptive quadrature."""
    return integrate.quad(lambda z: z**power * np.exp(log_joint(x, z) - top), -6, 6, limit=400, epsabs=1e-12)[0]


def drawn(count=4, seed=0):
    model = four_by_four(radius=RADIUS, width=WIDTH, noise=NOISE)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((4, 4, 1)))
    x, z = ancestral_sample(model, params, jax.random.key(seed), count)
    return model, params, np.asarray(x), np.asarray(z)


def test_the_picture_is_a_spot_on_a_circle():
    decoder = FourByFourDecoder(RADIUS, WIDTH)
    params = jax.jit(decoder.init)(jax.random.key(0), jnp.zeros(1))
    for z in (-3.0, -0.7, 0.0, 0.4, 2.5):
        np.testing.assert_allclose(decoder.apply(params, jnp.float32([z])), picture(z), atol=2e-6)
    # Both ends of the line are the same place: twelve o'clock.
    ends = [decoder.apply(params, jnp.float32([z])) for z in (-6.0, 6.0)]
    np.testing.assert_allclose(*ends, atol=1e-5)


@pytest.mark.slow
def test_draws_of_the_model_have_its_mean_and_its_noise():
    _, _, x, z = drawn(2000)
    residual = x - np.stack([picture(value) for value in z[:, 0]])
    size = residual.size
    assert abs(residual.mean()) < 5 * NOISE / np.sqrt(size)
    assert abs(residual.var() - NOISE**2) < 5 * NOISE**2 * np.sqrt(2 / size)
    assert abs(z.mean()) < 5 / np.sqrt(2000)


@pytest.mark.slow
def test_evidence_and_posterior_are_those_of_adaptive_quadrature():
    model, params, x, _ = drawn()
    grid = grid_posterior(model, params, x)
    for i, one in enumerate(np.float64(x)):
        top = max(log_joint(one, z) for z in np.linspace(-4, 4, 81))
        mass, first, second = (moment(one, top, n) for n in range(3))
        mean = first / mass
        assert grid.log_evidence[i] == pytest.approx(top + np.log(mass), abs=2e-5)
        assert grid.mean[i, 0] == pytest.approx(mean, abs=1e-5)
        assert grid.covariance[i, 0, 0] == pytest.approx(second / mass - mean**2, abs=1e-5)
        at = len(grid.axes[0]) // 3
        expected = np.exp(log_joint(one, grid.axes[0][at]) - top) / mass
        assert grid.density[i, at] == pytest.approx(expected, rel=1e-4)
    assert (grid.error < 1e-6).all()


@pytest.mark.parametrize("latents", [1, 2])
def test_the_linear_gaussian_model_agrees_with_dense_algebra(latents):
    model, truth = exact.linear(latents=latents)
    params = jax.jit(model.init)(jax.random.key(0), jnp.float32(truth.x))
    grid = grid_posterior(model, params, truth.x[None].astype(np.float32))
    assert grid.log_evidence[0] == pytest.approx(truth.log_evidence, abs=2e-5)
    np.testing.assert_allclose(grid.mean[0], truth.mean, atol=1e-5)
    np.testing.assert_allclose(grid.covariance[0], truth.covariance, atol=1e-5)
    points = grid_points(grid.axes)
    expected = stats.multivariate_normal(truth.mean, truth.covariance).pdf(points)
    np.testing.assert_allclose(grid.density[0], expected, atol=1e-4 * expected.max())


@pytest.mark.parametrize("latents", [1, 2])
def test_the_parts_of_the_evidence_are_the_closed_forms(latents):
    """Against the divergence of two Gaussians with full covariance, for three q."""
    model, truth = exact.linear(latents=latents)
    params = jax.jit(model.init)(jax.random.key(0), jnp.float32(truth.x))
    x = np.float32(np.stack([truth.x] * 3))
    grid = grid_posterior(model, params, x)
    rng = np.random.default_rng(1)
    q = DiagNormal(truth.mean + 0.2 * rng.normal(size=(3, latents)), rng.uniform(-4, -1, (3, latents)))
    parts = evidence_parts(grid, gaussian_on_grid(grid.axes, q))
    precision = np.linalg.inv(truth.covariance)
    for i, (mean, log_var) in enumerate(zip(*q, strict=True)):
        off, var = mean - truth.mean, np.exp(log_var)
        log_ratio = np.linalg.slogdet(truth.covariance)[1] - log_var.sum()
        gap = 0.5 * (np.diag(precision) @ var - latents + off @ precision @ off + log_ratio)
        kl = 0.5 * (mean**2 + var - 1 - log_var).sum()
        assert parts.gap[i] == pytest.approx(gap, abs=2e-4)
        assert parts.kl[i] == pytest.approx(kl, abs=2e-5)
        assert parts.elbo[i] == pytest.approx(truth.log_evidence - gap, abs=2e-4)
        assert parts.log_likelihood[i] == pytest.approx(truth.log_evidence - gap + kl, abs=2e-4)
        assert parts.log_evidence[i] == pytest.approx(parts.elbo[i] + parts.gap[i], abs=1e-9)


@pytest.mark.slow
def test_the_gap_is_zero_for_the_posterior_itself_and_the_elbo_is_the_sampled_one():
    model, params, x, _ = drawn()
    grid = grid_posterior(model, params, x)
    with np.errstate(divide="ignore"):
        itself = evidence_parts(grid, np.log(grid.density))
    np.testing.assert_allclose(itself.gap, 0, atol=1e-9)
    np.testing.assert_allclose(itself.elbo, grid.log_evidence, atol=1e-9)
    # The encoder of a fresh model says N(0, 1) of every picture.
    prior = evidence_parts(grid, gaussian_on_grid(grid.axes, DiagNormal(np.zeros((4, 1)), np.zeros((4, 1)))))
    samples = 2000
    sampled = per_example(model, params, jax.random.key(3), x, samples=samples)
    z = np.random.default_rng(0).normal(size=300)
    spread = np.array([np.std([stats.norm.logpdf(one, picture(each), NOISE).sum() for each in z]) for one in x])
    assert (np.abs(sampled["elbo"] - prior.elbo) < 5 * spread / np.sqrt(samples)).all()
    np.testing.assert_allclose(prior.kl, 0, atol=1e-6)
    assert (prior.gap > 0.5).all()


@pytest.mark.slow
def test_the_best_gaussian_has_the_smallest_gap():
    model, params, x, _ = drawn()
    grid = grid_posterior(model, params, x)
    start = DiagNormal(jnp.float32(grid.mean[0]), jnp.log(jnp.float32(grid.covariance[0, 0])))

    def joint(z):
        return model.likelihood.log_prob(params, x[0], z) + model.prior.log_prob(params, z, None)

    best = fit_posterior(joint, start, jax.random.key(0), steps=300)
    found = np.float64([best.mean[0], best.log_var[0]])
    moves = found + 0.15 * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    gaps = [
        evidence_parts(grid, gaussian_on_grid(grid.axes, DiagNormal(*np.full((4, 2), move).T[..., None]))).gap[0]
        for move in moves
    ]
    assert 0 <= gaps[0] < min(gaps[1:])


@pytest.mark.slow
def test_a_picture_at_twelve_o_clock_has_two_explanations():
    model, params, _, _ = drawn()
    x = np.float32(picture(6.0))[None]
    grid = grid_posterior(model, params, x)
    z, density = grid.axes[0], grid.density[0]
    peaks = (density[1:-1] > density[:-2]) & (density[1:-1] > density[2:]) & (density[1:-1] > 0.1)
    assert peaks.sum() == 2
    assert z[1:-1][peaks][0] == pytest.approx(-z[1:-1][peaks][1], abs=0.013)
    step = z[1] - z[0]
    assert density[z < 0].sum() * step == pytest.approx(0.5, abs=1e-3)


def test_each_example_of_a_conditional_model_has_the_posterior_of_its_own_class():
    model = conditional_vae(
        Two(Encoder(Linear(4, (2, 2)))),
        Two(Linear(16, (4, 4, 1))),
        event_shape=(4, 4, 1),
        latent_dim=2,
        context=class_labels(2),
    )
    x = np.float32(np.random.default_rng(0).integers(0, 2, (2, 4, 4, 1)))
    both = Labelled(np.stack([x[0], x[0]]), np.array([0, 1]))
    params = jax.jit(model.init)(jax.random.key(0), Labelled(jnp.zeros((4, 4, 1)), model.context.example()))
    grid = grid_posterior(model, params, both, points=61)
    for i in range(2):
        alone = grid_posterior(model, params, Labelled(both.value[i : i + 1], both.context[i : i + 1]), points=61)
        np.testing.assert_allclose(grid.log_evidence[i], alone.log_evidence[0], atol=1e-5)
    assert abs(grid.log_evidence[0] - grid.log_evidence[1]) > 1e-3


class Two:
    """A network of (x, context) that adds the context to x."""

    def __init__(self, network):
        self.network = network

    def init(self, key, x, context):
        return self.network.init(key, x)

    def apply(self, variables, x, context):
        return self.network.apply(variables, x + context[0])


def wrong_calls():
    model, params, x, _ = drawn(2)
    grid = grid_posterior(model, params, x)
    three = small_vae()
    three_params = jax.jit(three.init)(jax.random.key(0), jnp.zeros((4, 4, 1)))
    narrow = DiagNormal(np.zeros((2, 1)), np.full((2, 1), -20.0))
    first, second, down = MLPEncoder(2, (4,)), MLPEncoder(1, (4,)), MLPEncoder(2, (4,))
    levels = hierarchical_vae([first, second], [down], Linear(16, (4, 4, 1)), event_shape=(4, 4, 1), latent_dims=(2, 1))
    sharp = four_by_four(noise=0.001)
    return {
        "three latents": (
            "3 latents.*1 or 2",
            lambda: grid_posterior(three, three_params, np.zeros((2, 4, 4, 1), np.float32)),
        ),
        "a hierarchy": (
            "several groups",
            lambda: grid_posterior(levels, jax.jit(levels.init)(jax.random.key(0), jnp.zeros((4, 4, 1))), x.clip(0, 1)),
        ),
        "one example": ("x has shape", lambda: grid_posterior(model, params, x[0])),
        "few points": ("points is 2", lambda: grid_posterior(model, params, x, points=2)),
        "an empty range": ("high is -1", lambda: grid_posterior(model, params, x, low=0.0, high=-1.0)),
        "too short a grid": ("prior has", lambda: grid_posterior(model, params, x, low=-1.0, high=1.0)),
        "too coarse a grid": ("points=", lambda: grid_posterior(sharp, params, x, points=101)),
        "a q too narrow": ("log_q integrates to", lambda: evidence_parts(grid, gaussian_on_grid(grid.axes, narrow))),
        "log_q of another shape": ("log_q has shape", lambda: evidence_parts(grid, np.zeros((3, 5)))),
        "q of another size": (
            "q.mean has shape",
            lambda: gaussian_on_grid(grid.axes, DiagNormal(np.zeros((2, 3)), np.zeros((2, 3)))),
        ),
        "radius": ("radius is -1", lambda: four_by_four(radius=-1.0)),
        "width": ("width is 0", lambda: four_by_four(width=0.0)),
        "noise": ("std is 0", lambda: four_by_four(noise=0.0)),
    }


@pytest.mark.rows(every=2)
@pytest.mark.rows(quick=["one example", "a q too narrow", "few points", "radius"])
@pytest.mark.parametrize("name", wrong_calls())
def test_wrong_input_is_named(name):
    words, call = wrong_calls()[name]
    with pytest.raises(ValueError, match=words):
        call()
