"""Every numeric option may be a traced array: one program for all its values, and the value of the constant."""

import functools
import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import LATENTS, SHAPE, Linear, images, small_vae
from test_adversarial import Critic, coded_autoencoder, small_gan
from test_devices import CLASSES, PLAYERS, classified, quantised

import jaxvae
from jaxvae import flows
from jaxvae.flows.spline import spline_transform
from jaxvae.math.categorical import gumbel_softmax
from jaxvae.math.kernels import inverse_multiquadric_kernel, rbf_kernel
from jaxvae.models.autoencoders import denoising, likeness, regularized
from jaxvae.models.categorical_latents import categorical_vae
from jaxvae.models.contexts import Labelled
from jaxvae.models.exact import linear, linear_encoder, pixels
from jaxvae.models.observations import continuous, counts, marginal
from jaxvae.models.players.critic import with_critic
from jaxvae.models.priors.mixture import gaussian_mixture_prior
from jaxvae.models.records import DiagNormal
from jaxvae.models.semi_supervised import semi_supervised_vae
from jaxvae.models.vq import vq_vae
from jaxvae.networks.conditional import with_context
from jaxvae.networks.conditioner import ConditionerMLP
from jaxvae.objectives import bounds, codes, dip, importance, rates, renyi
from jaxvae.objectives.adversarial import wasserstein
from jaxvae.training import losses
from jaxvae.training.engine import averages, optimizers, spikes, stages
from jaxvae.training.engine.state import TrainState
from jaxvae.training.engine.step import make_step
from jaxvae.training.search.local import fit_posterior

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
X = jnp.float32(images(8) > 100)
KEYS = jax.random.split(jax.random.key(1), 8)
V = jnp.array([0.3, -1.2])
OUTPUTS = jnp.linspace(-1.0, 1.0, 16).reshape(SHAPE)


@functools.cache
def made(model):
    """(model, its parameters, moved a little from where they start); once for each constructor."""
    found = model()
    with jax.ensure_compile_time_eval():  # not a part of the program that asks for it first
        params = jax.jit(found.init)(KEY, X[0])
        return found, jax.tree.map(lambda leaf: np.asarray(leaf) + np.float32(0.05), params)


def of_loss(build, model=small_vae, batch=X):
    """Value and gradient of a loss built from the number."""

    def value(number):
        found, params = made(model)
        loss = build(found, number)
        (value, _), gradient = jax.value_and_grad(loss, has_aux=True)(params, KEYS, batch, jnp.int32(1))
        return value, optax.tree.norm(gradient)

    return value


def of_bound(bound, samples=3):
    return of_loss(lambda m, number: losses.bound_loss(m, functools.partial(bound, number), samples=samples))


def option(bound, name, **others):
    return of_loss(lambda m, number: losses.batch_bound_loss(m, bound, **{name: number}, **others))


def judged(model, sees="code"):
    return functools.partial(_judged, model, sees)


@functools.cache
def _judged(model, sees):
    return with_critic(model(), Critic(), sees=sees)


CODED, PLAIN, GAN, VAE_GAN = (
    functools.partial(_judged, model, sees)
    for model, sees in (
        (coded_autoencoder, "code"),
        (small_vae, "code"),
        (small_gan, "example"),
        (small_vae, "example"),
    )
)


def of_cycle(name):
    """Value and gradient of a CycleGAN's loss with that option."""

    def value(number):
        batch = {"a": X, "b": 1.0 - X}
        params = PLAYERS.model.init(KEY, jax.tree.map(lambda leaf: leaf[0], batch))
        loss = losses.cycle_gan_loss(PLAYERS, **{name: number})
        (value, _), gradient = jax.value_and_grad(loss, has_aux=True)(params, KEYS, batch, jnp.int32(1))
        return value, optax.tree.norm(gradient)

    return value


def of_observation(build, drawn=True):
    """Log-probability, and sample or mean, of an observation built from the number."""

    def value(number):
        observation = build(number)
        params = jax.tree.map(lambda leaf: leaf + 0.3, observation.init())
        outputs = jnp.concatenate([OUTPUTS] * observation.channels, -1)
        other = observation.sample(params, KEY, outputs) if drawn else observation.mean(params, outputs)
        return observation.log_prob(params, X[0], outputs), other

    return value


def of_model(build):
    """`Terms` of a model built from the number, and how they change with the parameters."""

    def value(number):
        model = build(number)

        def total(params):
            terms = model.terms(params, KEYS[0], X[0])
            return terms.log_weight + terms.penalty, terms.kl

        (value, kl), gradient = jax.value_and_grad(total, has_aux=True)(model.init(KEY, X[0]))
        return value, kl, optax.tree.norm(gradient)

    return value


def of_flow(build):
    def value(number):
        bijection = build(number)
        params = jax.jit(bijection.init)(KEY, V, None)
        params = jax.tree.map(lambda leaf: leaf + 0.3, params)
        v, log_det = bijection.forward(params, V, None)
        return v, log_det, bijection.inverse(params, v, None)

    return value


def of_optimizer(build, steps=3):
    """Where a quadratic goes in some steps of an optimizer built from the number."""

    def value(number):
        optimizer = build(number)
        params = {"w": jnp.array([1.0, -2.0])}
        state = optimizer.init(params)
        for _ in range(steps):
            updates, state = optimizer.update(jax.tree.map(lambda w: 3.0 * w, params), state, params)
            params = optax.apply_updates(params, updates)
        return params

    return value


def of_step(**fixed):
    """The state after a step whose option is the number."""
    ((name, _),) = fixed.items()

    def value(number):
        def loss(params, keys, batch, step):
            return ((batch - params) ** 2).mean(), {}

        optimizer = optax.sgd(0.1)
        step = make_step(loss, optimizer, lambda key, raw: raw, **{name: number})
        average = jnp.float32(0.5) if name == "ema" else None
        state = TrainState(jnp.int32(5000), jnp.float32(0.5), optimizer.init(jnp.float32(0.5)), KEY, average)
        state, _ = step(state, jnp.array([1.0, 3.0]))
        return state.params, state.ema

    return value


def of_autoencoder(build):
    networks = Linear(LATENTS, (LATENTS,)), Linear(16, SHAPE)
    return of_model(lambda number: build(*networks, number, event_shape=SHAPE, latent_dim=LATENTS))


def conditioner(size):
    return ConditionerMLP(size, hidden=(4,))


def semi_supervised(alpha):
    encoder = with_context(jaxvae.MLPEncoder(LATENTS, (4,)))
    decoder = with_context(jaxvae.MLPDecoder(SHAPE, hidden=(4,)))
    return semi_supervised_vae(encoder, decoder, CLASSES, event_shape=SHAPE, latent_dim=LATENTS, classes=2, alpha=alpha)


def of_labelled(number):
    model = semi_supervised(number)
    x = Labelled(X[0], jnp.int32(1))
    return model.terms(model.init(KEY, x), KEYS[0], x).log_weight, model.terms(model.init(KEY, x), KEYS[0], x).penalty


WEIGHTS = jnp.array([[1.0, 0.5], [0.2, -1.0], [0.3, 0.3]])
DECODER = {"weights": WEIGHTS, "bias": jnp.zeros(3)}
POINT = jnp.array([0.5, -0.3, 1.0])
ENCODED = {"encoder": linear_encoder.linear_gaussian_encoder(DECODER, noise=0.5), "decoder": DECODER}

# function.option: (number -> arrays, a number)
TABLE = {
    "affine_coupling.limit": (of_flow(lambda n: flows.affine_coupling(conditioner(2), 2, limit=n)), 2.0),
    "real_nvp.limit": (of_flow(lambda n: flows.real_nvp(2, conditioner, 2, limit=n)), 2.0),
    "spline_coupling.bound": (of_flow(lambda n: flows.spline_coupling(conditioner(23), 2, bound=n)), 4.0),
    "neural_spline.bound": (of_flow(lambda n: flows.neural_spline(2, conditioner, 2, bound=n)), 4.0),
    "spline_transform.least": (
        lambda n: spline_transform(4, least=n).forward(jnp.linspace(-1.0, 1.0, 11), jnp.float32(0.7)), 0.05,
    ),
    "affine.scale": (of_flow(lambda n: flows.affine(2, scale=n)), 2.0),
    "affine.shift": (of_flow(lambda n: flows.affine(2, shift=n)), 2.0),
    "gumbel_softmax.temperature": (lambda n: gumbel_softmax(KEY, V, n), 0.7),
    "rbf_kernel.length_scale": (lambda n: rbf_kernel(n)(V, 2 * V), 1.3),
    "inverse_multiquadric_kernel.scale": (lambda n: inverse_multiquadric_kernel(n)(V, 2 * V), 1.3),
    "inverse_multiquadric_kernel.factors": (lambda n: inverse_multiquadric_kernel(1.0, (n, 2.0))(V, 2 * V), 1.3),
    "masking.probability": (lambda n: denoising.masking(n)(KEY, X + 1), 0.4),
    "gaussian_noise.std": (lambda n: denoising.gaussian_noise(n)(KEY, X[0]), 0.4),
    "salt_and_pepper.probability": (lambda n: denoising.salt_and_pepper(n)(KEY, X), 0.4),
    "compared.weight": (
        of_loss(lambda m, n: losses.bound_loss(likeness.compared(m, lambda x, y: abs(x - y).mean(), n))), 2.0,
    ),
    "sparse_autoencoder.weight": (
        of_autoencoder(lambda e, d, n, **k: regularized.sparse_autoencoder(e, d, weight=n, **k)), 2.0,
    ),
    "contractive_autoencoder.weight": (
        of_autoencoder(lambda e, d, n, **k: regularized.contractive_autoencoder(e, d, weight=n, **k)), 2.0,
    ),
    "regularized_autoencoder.code_weight": (
        of_autoencoder(lambda e, d, n, **k: regularized.regularized_autoencoder(e, d, code_weight=n, **k)), 2.0,
    ),
    "regularized_autoencoder.decoder_weight": (
        of_autoencoder(lambda e, d, n, **k: regularized.regularized_autoencoder(e, d, decoder_weight=n, **k)), 2.0,
    ),
    "categorical_vae.temperature": (
        of_model(
            lambda n: categorical_vae(
                Linear(6, (2, 3)), Linear(16, SHAPE), event_shape=SHAPE, variables=2, classes=3, temperature=n
            )
        ),
        0.7,
    ),
    "linear_gaussian.noise": (
        lambda n: linear.linear_gaussian(WEIGHTS, noise=n).terms(ENCODED, KEY, POINT).log_weight, 0.4,
    ),
    "linear_gaussian_posterior.noise": (lambda n: linear.linear_gaussian_posterior(DECODER, POINT, noise=n), 0.4),
    "linear_gaussian_log_evidence.noise": (lambda n: linear.linear_gaussian_log_evidence(DECODER, POINT, noise=n), 0.4),
    "linear_gaussian_encoder.noise": (lambda n: linear_encoder.linear_gaussian_encoder(DECODER, noise=n), 0.4),
    "linear_gaussian_elbo.noise": (lambda n: linear_encoder.linear_gaussian_elbo(ENCODED, POINT, noise=n), 0.4),
    "linear_gaussian_gap.noise": (lambda n: linear_encoder.linear_gaussian_gap(DECODER, noise=n), 0.4),
    "four_by_four.radius": (of_model(lambda n: pixels.four_by_four(radius=n)), 1.0),
    "four_by_four.width": (of_model(lambda n: pixels.four_by_four(width=n)), 1.0),
    "four_by_four.noise": (of_model(lambda n: pixels.four_by_four(noise=n)), 0.4),
    "normal.std": (of_observation(lambda n: continuous.normal(std=n)), 0.2),
    "normal.std, learned": (of_observation(lambda n: continuous.normal("learned", n)), 0.2),
    "normal.std, per pixel": (of_observation(lambda n: continuous.normal("per_pixel", n)), 0.2),
    "normal.floor": (of_observation(lambda n: continuous.normal("learned", floor=n)), 0.01),
    "laplace.width": (of_observation(lambda n: continuous.laplace(width=n)), 0.2),
    "laplace.floor": (of_observation(lambda n: continuous.laplace("per_pixel", floor=n)), 0.01),
    "negative_binomial.start": (of_observation(lambda n: counts.negative_binomial(start=n), drawn=False), 2.0),
    "negative_binomial.floor": (
        of_observation(lambda n: counts.negative_binomial("per_pixel", floor=n), drawn=False), 0.1,
    ),
    "zero_inflated_negative_binomial.start": (
        of_observation(lambda n: counts.zero_inflated_negative_binomial(start=n), drawn=False), 2.0,
    ),
    "zero_inflated_negative_binomial.floor": (
        of_observation(lambda n: counts.zero_inflated_negative_binomial(floor=n), drawn=False), 0.1,
    ),
    "marginal_normal.std": (of_observation(lambda n: marginal.marginal_normal(std=n)), 0.2),
    "marginal_normal.freedom": (of_observation(lambda n: marginal.marginal_normal(freedom=n)), 4.0),
    "gaussian_mixture_prior.spread": (
        lambda n: (p := gaussian_mixture_prior(3, 2, spread=n)).log_prob(p.init(KEY, None), V, None), 0.7,
    ),
    "semi_supervised_vae.alpha": (of_labelled, 3.0),
    "vq_vae.commitment": (
        of_model(
            lambda n: vq_vae(
                Linear(2, (2,)), Linear(16, SHAPE), event_shape=SHAPE, code_shape=(2,), codes=4, commitment=n
            )
        ),
        0.5,
    ),
    "elbo.beta": (of_loss(lambda m, n: losses.bound_loss(m, bounds.elbo, beta=n)), 3.0),
    "bernoulli_kl_penalty.rate": (lambda n: codes.bernoulli_kl_penalty(V[None], n), 0.1),
    "sparse_activations.rate": (
        of_loss(lambda m, n: losses.bound_loss(m, batch_penalty=codes.sparse_activations(n))), 0.1,
    ),
    "sparse_activations.weight": (
        of_loss(lambda m, n: losses.bound_loss(m, batch_penalty=codes.sparse_activations(weight=n))), 2.0,
    ),
    "dip_penalty.off_diagonal": (lambda n: dip.dip_penalty(jnp.stack([V, -V]), jnp.zeros((2, 2)), off_diagonal=n), 2.0),
    "dip_penalty.diagonal": (lambda n: dip.dip_penalty(jnp.stack([V, -V]), jnp.zeros((2, 2)), diagonal=n), 2.0),
    "ciwae_bound.beta": (of_loss(lambda m, n: losses.bound_loss(m, importance.ciwae_bound, samples=3, beta=n)), 0.4),
    "capacity_bound.capacity": (option(rates.capacity_bound, "capacity"), 2.0),
    "capacity_bound.gamma": (option(rates.capacity_bound, "gamma", capacity=1.0), 5.0),
    "free_bits_bound.free_nats": (option(rates.free_bits_bound, "free_nats"), 0.5),
    "balanced_bound.beta": (option(rates.balanced_bound, "beta"), 0.5),
    "renyi_bound.alpha": (of_loss(lambda m, n: losses.bound_loss(m, renyi.renyi_bound, samples=3, alpha=n)), 0.4),
    "renyi_bound.alpha, at 1": (of_loss(lambda m, n: losses.bound_loss(m, renyi.renyi_bound, samples=3, alpha=n)), 1.0),
    "decay_at.decay": (lambda n: averages.decay_at(n, jnp.int32(500)), 0.9),
    "make_optimizer.learning_rate": (of_optimizer(lambda n: jaxvae.make_optimizer("adam", n)), 0.1),
    "make_optimizer.learning_rate, clipped": (of_optimizer(lambda n: jaxvae.make_optimizer("sgd", n, clip=1.0)), 0.1),
    "make_optimizer.clip": (of_optimizer(lambda n: jaxvae.make_optimizer("sgd", 0.1, clip=n)), 0.5),
    "make_optimizer.weight_decay": (of_optimizer(lambda n: jaxvae.make_optimizer("adamw", 0.1, weight_decay=n)), 0.5),
    "make_optimizer.b1": (of_optimizer(lambda n: jaxvae.make_optimizer("adam", 0.1, b1=n)), 0.5),
    "make_optimizer.eps": (of_optimizer(lambda n: jaxvae.make_optimizer("rmsprop", 0.1, eps=n)), 0.5),
    "learning_rate_schedule.peak": (
        of_optimizer(lambda n: optax.sgd(optimizers.learning_rate_schedule("cosine", n, 5, 2))), 0.1,
    ),
    "kl_warmup.beta": (lambda n: optimizers.kl_warmup(10, n)(5), 3.0),
    "burda_schedule.rate": (of_optimizer(lambda n: optax.sgd(stages.burda_schedule(1, 3, n))), 0.1),
    "skip_spikes.ratio": (of_optimizer(lambda n: spikes.skip_spikes(optax.sgd(1.0), n, window=3), steps=5), 3.9),
    "make_step.ema": (of_step(ema=0.9), 0.9),
    "make_step.skip_above": (of_step(skip_above=2.9), 2.9),
    "factor_vae_loss.gamma": (of_loss(lambda m, n: losses.factor_vae_loss(m, Critic(), gamma=n), PLAIN), 3.0),
    "adversarial_autoencoder_loss.weight": (
        of_loss(lambda m, n: losses.adversarial_autoencoder_loss(m, Critic(), weight=n), CODED), 3.0,
    ),
    "adversarial_autoencoder_loss.gradient_penalty_weight": (
        of_loss(lambda m, n: losses.adversarial_autoencoder_loss(m, Critic(), gradient_penalty_weight=n), CODED), 3.0,
    ),
    "gan_loss.gradient_penalty_weight": (
        of_loss(
            lambda m, n: losses.gan_loss(m, Critic(), adversarial_loss=wasserstein(), gradient_penalty_weight=n), GAN
        ),
        3.0,
    ),
    "gan_loss.zero_centred_penalty_weight": (
        of_loss(lambda m, n: losses.gan_loss(m, Critic(), zero_centred_penalty_weight=n), GAN), 3.0,
    ),
    **{
        f"cycle_gan_loss.{name}": (of_cycle(name), 3.0)
        for name in ("cycle_weight", "identity_weight", "zero_centred_penalty_weight")
    },
    "vae_gan_loss.gamma": (of_loss(lambda m, n: losses.vae_gan_loss(m, Critic(), gamma=n), VAE_GAN), 3.0),
    "bound_loss.options": (of_loss(lambda m, n: losses.bound_loss(m, bounds.elbo, beta=n)), 3.0),
    "batch_bound_loss.options": (option(bounds.elbo, "beta"), 3.0),
    "vq_loss.restart_below": (of_loss(lambda m, n: losses.vq_loss(m, restart_below=n), quantised), 0.19),
    "vq_optimizer.decay": (lambda n: vq_update(losses.vq_optimizer(optax.sgd(0.1), decay=n)), 0.9),
    "vq_optimizer.decay, gradient": (
        lambda n: vq_update(losses.vq_optimizer(optax.sgd(0.1), codebook="gradient", decay=n)), 0.9,
    ),
    "outlier_exposure_loss.margin": (
        of_loss(lambda m, n: losses.outlier_exposure_loss(m, X[:2], margin=n)), 3.0,
    ),
    "outlier_exposure_loss.weight": (
        of_loss(lambda m, n: losses.outlier_exposure_loss(m, X[:2], margin=3.0, weight=n)), 3.0,
    ),
    "mmd_penalty.weight": (of_loss(lambda m, n: losses.bound_loss(m, batch_penalty=losses.mmd_penalty(m, n))), 9.0),
    "dip_vae_penalty.off_diagonal": (
        of_loss(lambda m, n: losses.bound_loss(m, batch_penalty=losses.dip_vae_penalty(off_diagonal=n))), 3.0,
    ),
    "dip_vae_penalty.diagonal": (
        of_loss(lambda m, n: losses.bound_loss(m, batch_penalty=losses.dip_vae_penalty(diagonal=n))), 3.0,
    ),
    "tc_vae_loss.alpha": (of_loss(lambda m, n: losses.tc_vae_loss(m, 100, alpha=n)), 3.0),
    "tc_vae_loss.beta": (of_loss(lambda m, n: losses.tc_vae_loss(m, 100, beta=n)), 3.0),
    "tc_vae_loss.gamma": (of_loss(lambda m, n: losses.tc_vae_loss(m, 100, gamma=n)), 3.0),
    "supervised_loss.weight": (
        of_loss(lambda m, n: losses.supervised_loss(m, CLASSES, weight=n), classified, Labelled(X, jnp.arange(8) % 2)),
        3.0,
    ),
    "fit_posterior.learning_rate": (
        lambda n: fit_posterior(
            lambda z: -((z - 1) ** 2).sum(), DiagNormal(V, V), KEY, steps=3, samples=2, learning_rate=n
        ),
        0.1,
    ),
}  # fmt: skip


def vq_update(optimizer):
    params = {"encoder": jnp.ones(2), "codebook": {"vectors": jnp.ones((4, 2)), "usage": jnp.full(4, 0.5)}}
    gradient = jax.tree.map(lambda leaf: 0.3 * leaf, params)
    return optimizer.update(gradient, optimizer.init(params), params)[0]


def two(number):
    """The number and another one on its allowed side."""
    return number, 0.9 if number == 1.0 else 1.1 * number


@pytest.mark.rows(every=4)
@pytest.mark.rows(
    slow=[
        "supervised_loss.weight",
        "factor_vae_loss.gamma",
        "vae_gan_loss.gamma",
        "adversarial_autoencoder_loss.weight",
        "vq_loss.restart_below",
    ]
)
@pytest.mark.parametrize("name", TABLE)
def test_a_number_may_be_traced(name):
    function, number = TABLE[name]
    shapes = jax.eval_shape(jax.vmap(function), jnp.float32(two(number)))
    assert all(leaf.shape[0] == 2 for leaf in jax.tree.leaves(shapes))


@pytest.mark.rows(every_slow=3)
@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_a_traced_number_is_the_constant(name):
    function, number = TABLE[name]
    program = jax.jit(lambda numbers: (jax.vmap(function)(numbers), function(number), function(two(number)[1])))
    both, constant, other = program(jnp.float32(two(number)))
    close = functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-6)
    jax.tree.map(lambda a, b, c: close(a, np.stack([b, c])), both, constant, other)
    moved = any((np.asarray(leaf[0]) != np.asarray(leaf[1])).any() for leaf in jax.tree.leaves(both))
    assert moved, "the number changes nothing"


# Building blocks of what the table asks already, and shapes of a network's start.
ASKED_THROUGH = {
    "loss_of_critic.zero_centred_penalty_weight",
    # What is decided before there is a program: the ends of a schedule or of an integral, and how a model draws.
    "cosine_schedule.start", "cosine_schedule.stop", "learned_schedule.start", "learned_schedule.stop",
    "linear_schedule.start", "linear_schedule.stop", "solve.start", "solve.end", "from_logits.margin",
    "guided.guidance", "with_sampler.guidance", "even_times_loss.hide_labels",
    "soft_bound.limit", "affine_transform.limit", "spline_transform.bound", "whitened.noise", "log_likelihood.noise",
    "follow.decay", "loss_of_critic.gradient_penalty_weight", "moving_averages.decay", "compile_steps.ema",
    "compile_steps.skip_above", "constant.values", "train_sweep.hyper", "pyramid.output_bias",
    "with_dropout.rate", "with_dropout.blocks",
    "wait_for_the_first.patience",  # seconds of a clock
}  # fmt: skip


def test_no_numeric_option_is_left_out():
    rooms = tuple(f"jaxvae.{room}" for room in ("math", "flows", "objectives", "models", "networks", "training"))
    found = set()
    for module in pkgutil.walk_packages(jaxvae.__path__, "jaxvae."):
        if not module.name.startswith(rooms):
            continue
        for name, function in vars(importlib.import_module(module.name)).items():
            if name.startswith("_") or not callable(function) or function.__module__ != module.name:
                continue
            if not inspect.isfunction(inspect.unwrap(function)):
                continue
            for option in inspect.signature(function).parameters.values():
                if "float" in str(option.annotation):
                    found.add(f"{name}.{option.name}")
    assert found - ASKED_THROUGH == {name.split(",")[0] for name in TABLE}
