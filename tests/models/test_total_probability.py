"""All pictures together: the sum of exp(bound) is at most 1 for a lower bound and 1 for log p(x), for every model.

A bound that mixes measures, counts a density twice or forgets one fails here, whatever the formula was.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autoregressive import PICTURES, SHAPE, away, pixels
from small import Linear

import jaxvae
from jaxvae.evaluation import fitted_priors
from jaxvae.evaluation.bounds.likelihood import tightest
from jaxvae.models.densities.density import density_model
from jaxvae.models.meaning import absent
from jaxvae.models.records import Conditional

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
REPEATS, SAMPLES = 10, 1000
OPTIONS = {"event_shape": SHAPE, "observation": jaxvae.bernoulli()}
encoder = functools.partial(jaxvae.MLPEncoder, hidden=(8,), activation="tanh")
level = functools.partial(jaxvae.networks.MLPLevel, hidden=(8,))
level = functools.partial(jaxvae.networks.MLPLevel, hidden=(8,))
coder = functools.partial(jaxvae.MLPDeterministicEncoder, hidden=(8,), activation="tanh")
decoder = Linear(3, SHAPE)


def plain(latent_dim=2, **options):
    return jaxvae.vae(encoder(latent_dim), decoder, latent_dim=latent_dim, **OPTIONS, **options)


def spherical(prior=None):
    prior = jaxvae.priors.uniform_sphere(2) if prior is None else prior
    return plain(posterior=jaxvae.posteriors.hyperspherical_posterior, prior=prior)


def on_the_sphere():
    """A mixture of von Mises-Fisher distributions: densities by area."""
    return jaxvae.priors.vamp_prior(
        encoder(2), 2, SHAPE, pseudo_inputs=3, posterior=jaxvae.posteriors.hyperspherical_posterior
    )


def categorical():
    return jaxvae.categorical_vae(coder(4), decoder, variables=2, classes=2, **OPTIONS)


def quantised():
    return jaxvae.vq_vae(coder(2), decoder, code_shape=(2,), codes=3, **OPTIONS)


def uneven(support, values):
    """A prior over finitely many codes, values(params) [K, ...], with the probabilities 0.6, 0.3 and 0.1 (or two)."""
    shares = jnp.array([0.6, 0.3, 0.1])

    def log_prob(params, z, context):
        same = jax.vmap(lambda code: jnp.all(jnp.abs(code - z) < 1e-6))(values(params))
        return jnp.log(jnp.sum(jnp.where(same, shares, 0.0)))

    def sample(params, key, context):
        k = jax.random.categorical(key, jnp.log(shares))
        return values(params)[k], jnp.log(shares[k])

    return Conditional(
        lambda key, context: {}, sample, log_prob, lambda params, context: values(params)[0], support=support
    )


def codes(count=200):
    return np.random.default_rng(0).normal(size=(count, 2)) * [0.7, 1.5] + [0.5, 0.0]


def flow(make):
    return make(2, functools.partial(jaxvae.networks.ConditionerMLP, hidden=(4,)), 2)


MODELS: dict[str, Callable] = {
    "vae": plain,
    "vae under a kernel density": lambda: jaxvae.with_prior(plain(), fitted_priors.fit_kde(codes(), 0.4)),
    "sphere": spherical,
    "categorical": categorical,
    "quantised": quantised,
    "density": lambda: density_model(pixels(0), OPTIONS["observation"], event_shape=SHAPE),
}
MORE: dict[str, Callable] = {
    "autoregressive decoder": lambda: jaxvae.vae(encoder(2), pixels(2), latent_dim=2, **OPTIONS),
    "mixture prior": lambda: plain(prior=jaxvae.priors.gaussian_mixture_prior(3, 2)),
    "vamp prior": lambda: plain(prior=jaxvae.priors.vamp_prior(encoder(2), 2, SHAPE, pseudo_inputs=3)),
    "coupling prior": lambda: plain(prior=jaxvae.priors.flow_prior(flow(jaxvae.flows.real_nvp), 2)),
    "spline prior": lambda: plain(prior=jaxvae.priors.flow_prior(flow(jaxvae.flows.neural_spline), 2)),
    "coupling posterior": lambda: plain(posterior=jaxvae.posteriors.flow_posterior(flow(jaxvae.flows.real_nvp))),
    "planar posterior": lambda: plain(posterior=jaxvae.posteriors.flow_posterior(jaxvae.flows.planar)),
    "full covariance": lambda: plain(posterior=jaxvae.posteriors.full_covariance_posterior),
    "low rank": lambda: plain(posterior=jaxvae.posteriors.low_rank_posterior(1)),
    "hierarchical": lambda: jaxvae.hierarchical_vae(
        [encoder(2), encoder(2)], [encoder(2)], decoder, latent_dims=(2, 2), **OPTIONS
    ),
    "ladder": lambda: jaxvae.ladder_vae(
        [level(2), level(2)], [encoder(2)], decoder, latent_dims=(2, 2), **OPTIONS
    ),
    "conditional": lambda: jaxvae.conditional_vae(
        jaxvae.with_context(encoder(2)), jaxvae.with_context(decoder),
        prior=encoder(2), latent_dim=2, context=2, **OPTIONS,
    ),
    "semi-supervised": lambda: jaxvae.semi_supervised_vae(
        jaxvae.with_context(encoder(2)), jaxvae.with_context(decoder), jaxvae.networks.MLPClassifier(2, (8,)),
        latent_dim=2, classes=2, **OPTIONS,
    ),
    "vae under a mixture": lambda: jaxvae.with_prior(plain(), fitted_priors.fit_gaussian_mixture(codes(), 2)),
    "vae under a flow": lambda: jaxvae.with_prior(plain(), jaxvae.priors.flow_prior(flow(jaxvae.flows.real_nvp), 2)),
    "vae under a second vae": lambda: jaxvae.with_prior(
        plain(), fitted_priors.fit_two_stage(codes(), hidden=(8,), steps=100)
    ),
    "sphere under a mixture on it": lambda: jaxvae.with_prior(spherical(), on_the_sphere()),
    "categorical under an uneven prior": lambda: jaxvae.with_prior(
        categorical(), uneven("one_hot", lambda params: jnp.eye(2)[jnp.array([[0, 0], [1, 0], [1, 1]])])
    ),
    "quantised under an uneven prior": lambda: jaxvae.with_prior(
        quantised(), uneven("codebook", lambda params: params["codebook"]["vectors"])
    ),
}  # fmt: skip
ALL = [*MODELS, *(pytest.param(name, marks=pytest.mark.full) for name in MORE)]


def total(model, params, context=None):
    """The sum over all pictures of exp(the mean of the tightest bound), with its standard error."""
    x = np.tile(PICTURES, (REPEATS, 1, 1))
    x = x if context is None else jaxvae.Labelled(x, np.full(len(x), context))
    found = tightest(jaxvae.per_example(model, params, KEY, x, samples=SAMPLES)).reshape(REPEATS, -1)
    mean, error = found.mean(0, dtype=np.float64), found.std(0, dtype=np.float64) / np.sqrt(REPEATS)
    return np.exp(mean).sum(), np.linalg.norm(np.exp(mean) * error)


@pytest.mark.rows(every=2)
@pytest.mark.rows(slow=["sphere", "vae under a kernel density"])
@pytest.mark.parametrize("name", ALL)
def test_all_pictures_together_have_at_most_the_probability_one(name):
    model = (MODELS | MORE)[name]()
    params = away(model)
    contexts = (None,) if model.context is None else ((-1,) if model.context.optional else (0, 1))
    for context in contexts:
        found, error = total(model, params, context)
        if model.evidence == "exact":
            assert found == pytest.approx(1, abs=1e-5)
        else:
            assert found <= 1 + 4 * error
            assert error < 0.05
            assert found > (0.7 if model.evidence == "weights" else 0.01)  # else it would say nothing


MISMATCHES = {
    "mixture over the sphere": (
        spherical,
        lambda: fitted_priors.fit_gaussian_mixture(codes(), 2),
        "sphere",
        "real",
    ),
    "kernels over the sphere": (spherical, lambda: fitted_priors.fit_kde(codes()), "sphere", "real"),
    "sphere over a vae": (plain, lambda: jaxvae.priors.uniform_sphere(2), "real", "sphere"),
    "normal over one-hot": (categorical, lambda: jaxvae.priors.standard_normal(2), "one_hot", "real"),
    "normal over a codebook": (quantised, lambda: jaxvae.priors.standard_normal(2), "codebook", "real"),
    "categories over a vae": (plain, lambda: jaxvae.models.uniform_categories(1, 2), "real", "one_hot"),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_a_prior_in_another_space_is_refused_by_name(name):
    model, prior, ours, theirs = MISMATCHES[name]
    with pytest.raises(ValueError, match=rf"posterior are on '{ours}'.*prior on '{theirs}'.*expected one space"):
        jaxvae.with_prior(model(), prior())
    if model is plain:
        with pytest.raises(ValueError, match=rf"posterior are on '{ours}'.*prior on '{theirs}'"):
            plain(prior=prior())


@pytest.mark.slow
def test_without_the_refusal_a_mixture_over_the_sphere_would_be_no_bound():
    prior = fitted_priors.fit_gaussian_mixture(codes() / np.linalg.norm(codes(), axis=1, keepdims=True), 5)
    model = jaxvae.with_prior(spherical(), prior._replace(support="sphere"))  # which is not true
    found, error = total(model, away(model))
    assert found - 4 * error > 1.2


@pytest.mark.parametrize("model", [spherical, categorical, quantised, lambda: spherical(on_the_sphere())])
def test_what_moves_through_space_is_refused_off_it(model):
    model = model()
    params = away(model)
    with pytest.raises(ValueError, match=r"annealed importance sampling (goes through R\^n|needs weights)"):
        jaxvae.evaluation.annealing.annealed_bounds(model, params, KEY, PICTURES, temperatures=2, chains=2)
    with pytest.raises(ValueError, match=r"a bijection goes through R\^n.*standard_normal"):
        jaxvae.priors.transformed(model.prior, jaxvae.flows.affine(2), 2)


def test_a_part_that_is_not_there_says_why():
    part = absent("there is no prior here")
    assert part.support == "none"
    with pytest.raises(ValueError, match="no prior here"):
        part.sample({}, KEY, None)
