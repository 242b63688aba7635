"""Continuous flows: a linear field in closed form, a trained one by quadrature, and the noise of an estimated trace."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from scipy.stats import multivariate_normal

import jaxvae
from jaxvae.models.densities import continuous_flow, flow_matching_loss, flow_model, hutchinson_model
from jaxvae.networks.conditioner import ConditionerMLP

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
MATRIX = np.array([[0.3, -0.8], [0.5, 0.1]])


class Linear:
    """f(x, t) = A x + t c."""

    def init(self, key, h):
        return {}

    def apply(self, variables, h):
        return jnp.asarray(MATRIX, h.dtype) @ h[:2] + h[2] * jnp.array([1.0, -2.0], h.dtype)


PARAMS = {"flow": {"network": {}}}


def gaussian():
    """x(1) = exp(A) x(0) + integral of exp(A (1 - t)) t c dt, in float64."""
    t = (np.arange(200) + 0.5) / 200
    mean = np.mean([scipy.linalg.expm(MATRIX * (1 - s)) @ (s * np.array([1.0, -2.0])) for s in t], 0)
    push = scipy.linalg.expm(MATRIX)
    return multivariate_normal(mean, push @ push.T)


def test_a_linear_field_carries_a_gaussian_to_the_one_that_the_matrix_exponential_says():
    model = flow_model(continuous_flow(Linear(), 2), event_shape=(2,))
    x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    found = jaxvae.per_example(model, PARAMS, KEY, x)["log_p"]
    np.testing.assert_allclose(found, gaussian().logpdf(x), atol=2e-3)
    assert model.evidence == "exact"


def test_steps_cost_what_the_fourth_order_says_and_the_way_back_is_the_way():
    with jax.enable_x64(True):
        u, ends = jnp.array([0.5, -1.0]), {}
        for steps in (4, 8, 64):
            flow = continuous_flow(Linear(), 2, steps=steps)
            ends[steps], log_det = flow.forward({"network": {}}, u, None)
            assert float(log_det) == pytest.approx(np.trace(MATRIX), abs=1e-7)
        errors = [np.abs(ends[steps] - ends[64]).max() for steps in (4, 8)]
        back, _ = flow.inverse({"network": {}}, ends[64], None)
    assert 10 < errors[0] / errors[1] < 25
    np.testing.assert_allclose(back, u, atol=1e-7)


@pytest.mark.slow
def test_an_estimated_trace_is_right_on_average_and_its_noise_is_said():
    x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    truth = gaussian().logpdf(x)
    found = jaxvae.per_example(hutchinson_model(Linear(), 2), PARAMS, KEY, x, samples=150)
    assert set(found) >= {"elbo", "monte_carlo_error"}
    assert "iwae" not in found
    assert (found["monte_carlo_error"] > 1e-3).all()  # off the diagonal, -0.8 + 0.5: a sign decides
    assert np.abs((found["elbo"] - truth) / (found["monte_carlo_error"] + 2e-3)).max() < 4
    more = jaxvae.per_example(hutchinson_model(Linear(), 2, probes=16), PARAMS, KEY, x, samples=150)
    ratio = (found["monte_carlo_error"] / more["monte_carlo_error"]).mean()
    assert ratio == pytest.approx(4.0, rel=0.35)


@pytest.mark.slow
def test_flow_matching_learns_two_moons_and_the_density_integrates_to_one():
    from sklearn.datasets import make_moons

    velocity = ConditionerMLP(2, (64, 64))
    model = flow_model(continuous_flow(velocity, 2, steps=16), event_shape=(2,))
    x, test = (
        make_moons(count, noise=0.1, random_state=seed)[0].astype(np.float32) for count, seed in ((2000, 0), (500, 1))
    )
    fitted = jaxvae.fit(
        model, x, loss=flow_matching_loss(velocity), optimizer=jaxvae.training.make_optimizer(learning_rate=3e-3),
        epochs=150, batch_size=200, progress=False,
    )  # fmt: skip
    ticks = -2.5 + 6.0 * (np.arange(110) + 0.5) / 110
    grid = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2).astype(np.float32)
    density = (
        np.exp(np.float64(jaxvae.per_example(model, fitted.params, KEY, grid)["log_p"])) * (ticks[1] - ticks[0]) ** 2
    )
    assert density.sum() == pytest.approx(1.0, abs=0.02)
    log_p = jaxvae.per_example(model, fitted.params, KEY, test)["log_p"]
    gauss = multivariate_normal(x.mean(0), np.cov(x.T)).logpdf(test)
    assert log_p.mean() > gauss.mean() + 0.3


def test_a_velocity_of_another_size_is_named():
    flow = continuous_flow(ConditionerMLP(3, (4,)), 2)
    with pytest.raises(ValueError, match=r"the velocity has shape \(3,\), expected \(2,\)"):
        flow.forward(flow.init(KEY, jnp.zeros(2), None), jnp.zeros(2), None)
    for call in (
        functools.partial(continuous_flow, Linear(), 0),
        functools.partial(hutchinson_model, Linear(), 2, probes=0),
    ):
        with pytest.raises(ValueError, match="is 0, expected an integer of at least 1"):
            call()
