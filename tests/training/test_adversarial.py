"""Two players in one step: whose gradient is whose, and what the critics converge to."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import LATENTS, SHAPE, Linear, grey, images, small_vae

import jaxvae
from jaxvae.models.autoencoders.deterministic import autoencoder
from jaxvae.models.players.critic import add_parameters, with_critic
from jaxvae.models.players.generator import gan
from jaxvae.models.priors.standard import standard_normal
from jaxvae.networks.discriminator import ConvCritic, MLPCritic
from jaxvae.networks.residual.critic import ResNetCritic
from jaxvae.objectives.adversarial import (
    gradient_penalty,
    hinge,
    least_squares,
    minimax,
    relativistic,
    wasserstein,
)
from jaxvae.objectives.terms import Terms
from jaxvae.objectives.total_correlation import permute_latents
from jaxvae.training.checkpoints.checkpoint import restore, save
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.optimizers import every_nth_step, optimizer_by_part
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import init_state
from jaxvae.training.losses.adversarial_codes import adversarial_autoencoder_loss, factor_vae_loss
from jaxvae.training.losses.adversarial_images import gan_loss, vae_gan_loss
from jaxvae.training.losses.batch import batch_terms

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # run once or twice


class Critic(NamedTuple):
    """A critic by hand: two features of any input, and a logit of them."""

    def init(self, key, x):
        return {"w": 0.5 * jax.random.normal(key, (x.size, 2)), "v": jnp.array([1.0, -0.5])}

    def apply(self, variables, x):
        features = jnp.tanh(x.reshape(-1) @ variables["w"])
        return features @ variables["v"], features


def coded_autoencoder():
    return autoencoder(
        Linear(LATENTS, (LATENTS,)), Linear(16, SHAPE), event_shape=SHAPE, latent_dim=LATENTS,
        prior=standard_normal(LATENTS),
    )  # fmt: skip


def small_gan():
    return gan(Linear(16, SHAPE), event_shape=SHAPE, latent_dim=LATENTS)


# name: (model, what the critic sees, loss of the model and the critic)
LOSSES = {
    "factor vae": (small_vae, "code", lambda m, c: factor_vae_loss(m, c, gamma=3.0)),
    "aae": (coded_autoencoder, "code", adversarial_autoencoder_loss),
    "aae of a vae, hinge": (
        small_vae,
        "code",
        lambda m, c: adversarial_autoencoder_loss(m, c, adversarial_loss=hinge()),
    ),
    "aae, wasserstein": (
        coded_autoencoder,
        "code",
        lambda m, c: adversarial_autoencoder_loss(
            m, c, weight=0.5, adversarial_loss=wasserstein(), gradient_penalty_weight=10.0
        ),
    ),
    "vae-gan": (small_vae, "example", lambda m, c: vae_gan_loss(m, c, gamma=0.3)),
    "gan": (small_gan, "example", gan_loss),
    "gan, least squares": (small_gan, "example", lambda m, c: gan_loss(m, c, adversarial_loss=least_squares())),
    "gan, relativistic": (
        small_gan,
        "example",
        lambda m, c: gan_loss(m, c, adversarial_loss=relativistic(), zero_centred_penalty_weight=0.3),
    ),
    "vae-gan, relativistic": (small_vae, "example", lambda m, c: vae_gan_loss(m, c, adversarial_loss=relativistic())),
    "gan, wasserstein": (
        small_gan,
        "example",
        lambda m, c: gan_loss(m, c, adversarial_loss=wasserstein(), gradient_penalty_weight=10.0),
    ),
}


def made(name, critic=None):
    critic = Critic() if critic is None else critic
    model, sees, loss = LOSSES[name]
    model = with_critic(model(), critic, sees=sees)
    params = quick_jit(model.init)(KEY, jnp.zeros(SHAPE))
    return model, params, loss(model, critic)


def arguments(seed=1):
    return jax.random.split(jax.random.key(seed), 8), jnp.float32(images(8) > 100), jnp.int32(0)


MANY = {
    "aae of a vae, hinge",
    "gan, least squares",
    "gan, wasserstein",
    "vae-gan, relativistic",
}  # the same paths as their neighbours


@pytest.mark.rows(quick=["gan"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.full] * (n in MANY)) for n in LOSSES])
def test_each_player_gets_exactly_its_own_gradient(name):
    _, params, loss = made(name)

    @quick_jit
    def gradients(params, *rest):
        def parts(params):
            value, metrics = loss(params, *rest)
            of_model = [metrics[k] for k in ("total_correlation", "generator_loss", "feature_loss") if k in metrics]
            return jnp.stack([value, metrics["critic_loss"], sum(of_model)]), metrics

        slopes, metrics = jax.jacrev(parts, has_aux=True)(params)
        return metrics, *(jax.tree.map(lambda leaf, i=i: leaf[i], slopes) for i in range(3))

    metrics, total, of_critic, of_model = gradients(params, *arguments())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((metrics, total)))
    for part in params:
        # What is added to all logits alike is nothing to a critic of differences.
        unfelt = [leaf for leaf in jax.tree.leaves(total[part]) if np.abs(leaf).max() < 1e-7]
        assert len(unfelt) <= (part == "critic" and "relativistic" in name)
        other = of_model if part == "critic" else of_critic
        assert all(not np.any(leaf) for leaf in jax.tree.leaves(other[part])), f"{part} feels the other player's loss"
    for a, b in zip(jax.tree.leaves(total["critic"]), jax.tree.leaves(of_critic["critic"]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert float(gradients(params, *arguments())[0]["loss"]) == float(metrics["loss"])
    assert float(gradients(params, *arguments(2))[0]["loss"]) != float(metrics["loss"])


@pytest.mark.slow
def test_the_three_losses_of_the_vae_gan_are_the_papers():
    """Each loss written out by itself, differentiated in its own player's parameters alone."""
    model, params, loss = made("vae-gan")
    keys, x, step = arguments()
    critic, gamma = Critic(), 0.3

    def of(params):
        judge = jax.vmap(lambda image: critic.apply(params["critic"], image))
        terms = batch_terms(model, params, keys, x)
        z = terms.z[:, 0]
        drawn = jax.random.split(jax.random.split(jax.random.fold_in(keys[0], 2**31 - 1))[0], 8)
        z_prior = jax.vmap(lambda k: jax.random.normal(k, (LATENTS,)))(drawn)
        decode = jax.vmap(lambda code: jax.nn.sigmoid(Linear(16, SHAPE).apply(params["decoder"], code)))
        error = 0.5 * ((judge(x)[1] - judge(decode(z))[1]) ** 2 + jnp.log(2 * jnp.pi)).sum(1).mean()
        real, fake = judge(x)[0], jnp.concatenate([judge(decode(z))[0], judge(decode(z_prior))[0]])
        deceived = jnp.log1p(jnp.exp(-fake)).mean()
        judged = jnp.log1p(jnp.exp(-real)).mean() + jnp.log1p(jnp.exp(fake)).mean()
        return {
            "encoder": terms.kl.sum(-1).mean() + error,
            "decoder": gamma * error + deceived,
            "critic": judged,
        }, terms.kl.sum(-1).mean() + error + deceived + judged

    @quick_jit
    def both(params):
        (value, _), total = jax.value_and_grad(loss, has_aux=True)(params, keys, x, step)
        expected, sum_of_parts = jax.jacrev(of, has_aux=True)(params)
        return value, total, expected, sum_of_parts

    value, total, expected, sum_of_parts = both(params)
    for player in ("encoder", "decoder", "critic"):
        for a, b in zip(jax.tree.leaves(total[player]), jax.tree.leaves(expected[player][player]), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)
    assert float(value) == pytest.approx(float(sum_of_parts), rel=1e-5)


class Quadratic(NamedTuple):
    """The family that holds the best critic of two Gaussians of two latents."""

    def init(self, key, z):
        return jnp.zeros(4)

    def apply(self, weights, z):
        return weights @ jnp.array([z[0] * z[1], z[0] ** 2, z[1] ** 2, 1.0])


@pytest.mark.slow
def test_the_density_ratio_of_a_correlated_gaussian_becomes_its_total_correlation():
    correlation, size = 0.8, 1024
    model = small_vae()
    zero = jnp.zeros(())
    model = model._replace(
        terms=lambda params, key, x: Terms(zero, jnp.zeros(2), zero, zero, x, None),
        event_shape=(2,),
        check=lambda x, name: None,
    )
    loss, optimizer = factor_vae_loss(model, Quadratic()), optax.adam(3e-2)

    def step(carry, key):
        params, state = carry
        a, b = jax.random.normal(key, (2, size))
        z = jnp.stack([a, correlation * a + np.sqrt(1 - correlation**2) * b], axis=1)
        gradient, metrics = jax.grad(loss, has_aux=True)(params, jax.random.split(key, size), z, 0)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(params, updates), state), metrics["total_correlation"]

    @jax.jit
    def run(key):
        params = {"critic": jnp.zeros(4)}
        return jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(key, 600))

    (params, _), found = run(KEY)
    truth = -0.5 * np.log(1 - correlation**2)  # 0.51 nats
    assert float(found[0]) == 0.0
    assert float(found[-200:].mean()) == pytest.approx(truth, abs=0.05)
    # The best logit is log q(z) / q(z_1) q(z_2), a quadratic form whose weights are known.
    rho = correlation
    best = [rho / (1 - rho**2), -0.5 * rho**2 / (1 - rho**2), -0.5 * rho**2 / (1 - rho**2), truth]
    np.testing.assert_allclose(params["critic"], best, atol=0.2)


def test_permuted_latents_keep_their_numbers_and_lose_each_other():
    z = jnp.arange(2000.0)[:, None] * jnp.ones((1, 3))
    found = jax.jit(permute_latents)(KEY, z)
    np.testing.assert_array_equal(np.sort(found, axis=0), z)
    off = np.corrcoef(np.concatenate([z[:, :1], found], 1).T)[np.triu_indices(4, 1)]
    assert np.abs(off).max() < 4.5 / np.sqrt(2000)
    for count in (1, 2, 5):
        assert permute_latents(KEY, jnp.zeros((count, 1))).shape == (count, 1)


def test_a_generator_that_waits_learns_from_every_third_gradient_alone():
    gradients = np.random.default_rng(0).normal(size=6).astype(np.float32)
    optimizer = optimizer_by_part({"critic": optax.adam(0.1)}, every_nth_step(optax.adam(0.1), 3))
    params = {"critic": jnp.zeros(()), "decoder": jnp.zeros(())}
    state, seen = optimizer.init(params), []
    for gradient in gradients:
        updates, state = optimizer.update({"critic": gradient, "decoder": gradient}, state, params)
        params = optax.apply_updates(params, updates)
        seen.append(float(params["decoder"]))
    plain, alone = optax.adam(0.1), jnp.zeros(())
    memory = plain.init(alone)
    for gradient in gradients[2::3]:
        update, memory = plain.update(gradient, memory, alone)
        alone = alone + update
    assert seen[:2] == [0.0, 0.0]
    assert seen[2] == seen[4] != seen[5]
    assert seen[5] == pytest.approx(float(alone), rel=1e-6)
    assert float(params["critic"]) != seen[5]  # it took all six
    with pytest.raises(ValueError, match="n is 0"):
        every_nth_step(optax.sgd(1.0), 0)


def test_each_part_is_updated_by_its_own_optimizer_and_its_own_norm(tmp_path):
    draw = np.random.default_rng(0)
    gradient = {part: {"w": jnp.float32(draw.normal(size=3))} for part in ("encoder", "decoder", "critic")}
    params = jax.tree.map(jnp.zeros_like, gradient)
    mine = optax.chain(optax.clip_by_global_norm(0.01), optax.adam(0.1))
    optimizer = optimizer_by_part({"critic": mine}, optax.sgd(0.5))
    updates, after = jax.jit(optimizer.update)(gradient, optimizer.init(params), params)
    expected = mine.update(gradient["critic"], mine.init(params["critic"]))[0]
    for a, b in zip(jax.tree.leaves(updates["critic"]), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    for part in ("encoder", "decoder"):
        jax.tree.map(lambda a, g: np.testing.assert_allclose(a, -0.5 * g, rtol=1e-5), updates[part], gradient[part])
    save(tmp_path, after, step=1)
    for a, b in zip(jax.tree.leaves(restore(tmp_path, after)[0]), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.full
@pytest.mark.parametrize(("name", "mode"), [("factor vae", "jit"), ("factor vae", "pmap"), ("vae-gan", "pmap")])
def test_losses_train_both_players_on_one_device_and_on_two(name, mode):
    model, _, loss = made(name)
    optimizer = optimizer_by_part({"critic": optax.adam(0.01)}, optax.adam(0.03))
    state = init_state(model, optimizer, KEY, jnp.zeros(SHAPE))
    compiled = compile_steps(loss, optimizer, grey, batch_size=20, steps_per_call=200, mode=mode)
    (last,) = train(compiled, state, images(4000), 150, steps_per_call=200)
    assert not last.metrics["skipped"].any()
    moved = jax.tree.map(lambda a, b: np.any(np.array(a) != np.array(b)), last.state.params, state.params)
    assert all(jax.tree.leaves(moved))
    if name == "factor vae":
        assert last.metrics["elbo"][-10:].mean() > last.metrics["elbo"][:10].mean() + 0.3


def far_draws(params, key, context):
    return 3.0 + jax.random.normal(key, (LATENTS,)), jnp.zeros(())


@pytest.mark.full
def test_an_adversarial_autoencoder_brings_its_codes_to_the_prior_on_two_devices():
    critic = MLPCritic((16,))
    model = with_critic(coded_autoencoder(), critic)
    far = standard_normal(LATENTS)._replace(sample=far_draws)
    loss = adversarial_autoencoder_loss(model, critic, weight=5.0, gradient_penalty_weight=1.0, prior=far)
    optimizer = optimizer_by_part({"critic": optax.adam(0.01, b1=0.5)}, optax.adam(0.005, b1=0.5))
    state = init_state(model, optimizer, KEY, jnp.zeros(SHAPE))
    compiled = compile_steps(loss, optimizer, grey, batch_size=20, steps_per_call=450, mode="pmap")
    (last,) = train(compiled, state, images(9000), 450, steps_per_call=450)
    codes = jax.jit(jax.vmap(model.posterior.mean, (None, 0)))
    before, after = (codes(s.params, jnp.float32(images(100) / 255)).mean(0) for s in (state, last.state))
    assert float(jnp.abs(before).max()) < 1
    np.testing.assert_allclose(after, 3.0, atol=1.5)
    assert last.metrics["log_likelihood"][-20:].mean() > last.metrics["log_likelihood"][:5].mean() + 0.5


@pytest.mark.full
def test_a_gan_learns_where_the_light_is():
    """Half of the pictures are bright on the left and half on the right: never both, never none."""
    critic = MLPCritic((32,))
    model = with_critic(
        gan(jaxvae.MLPDecoder(SHAPE, hidden=(32,)), event_shape=SHAPE, latent_dim=2), critic, sees="example"
    )
    optimizer = optimizer_by_part({"critic": optax.adam(4e-3, b1=0.5)}, optax.adam(2e-3, b1=0.5))
    params, history = jaxvae.fit(
        model, images(200), protocol="grey", loss=gan_loss(model, critic), optimizer=optimizer, epochs=60,
        batch_size=20, progress=False,
    )  # fmt: skip
    assert set(history[0]) >= {"loss", "generator_loss", "critic_loss"}
    draw = jax.jit(lambda key: model.likelihood.mean(params, model.prior.sample(params, key, None)[0]))
    pictures = jax.vmap(draw)(jax.random.split(KEY, 200))
    left, right = pictures[:, :, :2].mean((1, 2, 3)), pictures[:, :, 2:].mean((1, 2, 3))
    assert float(jnp.abs(left - right).mean()) > 0.4
    assert float((left + right).mean()) == pytest.approx(1.0, abs=0.2)


CRITICS = {"mlp": MLPCritic((8,)), "conv": ConvCritic((4,), dense=8), "resnet": ResNetCritic((4,), dense=8)}


@pytest.mark.parametrize("critic", CRITICS.values(), ids=CRITICS)
def test_critics_give_a_logit_and_features_that_depend_on_the_input(critic):
    x = jnp.ones((4, 4, 1))
    variables = jax.jit(critic.init)(KEY, x)
    logit, features = jax.jit(critic.apply)(variables, x)
    assert (logit.shape, features.ndim) == ((), 1)
    slope = jax.jit(jax.grad(lambda x: critic.apply(variables, x)[0]))(x)
    assert np.isfinite(slope).all()
    assert np.any(slope)


def run(name, change=lambda params: params, count=8, critic=None):
    _, params, loss = made(name, critic)
    keys, x, step = arguments()
    return jax.eval_shape(loss, change(params), keys[:count], x[:count], step)


class Plain(Critic):
    def apply(self, variables, x):
        return super().apply(variables, x)[0]


class Wide(Critic):
    def apply(self, variables, x):
        return super().apply(variables, x)[1]


def without(params):
    return {name: part for name, part in params.items() if name != "critic"}


VAE, EMPTY = small_vae(), jnp.zeros(2)
BAD = {
    "gamma": (lambda: factor_vae_loss(VAE, Critic(), gamma=-1.0), ValueError, ["gamma is -1.0"]),
    "gamma of vae-gan": (lambda: vae_gan_loss(VAE, Critic(), gamma=np.nan), ValueError, ["gamma is nan"]),
    "weight": (lambda: adversarial_autoencoder_loss(VAE, Critic(), weight="1"), TypeError, ["weight is '1'"]),
    "penalty": (lambda: gan_loss(VAE, Critic(), gradient_penalty_weight=-1.0), ValueError, ["penalty_weight is -1.0"]),
    "loss": (lambda: gan_loss(VAE, Critic(), adversarial_loss=hinge), TypeError, ["an AdversarialLoss", "hinge()"]),
    "network": (lambda: gan_loss(VAE, MLPCritic), TypeError, ["expected an object with init and apply"]),
    "prior": (lambda: adversarial_autoencoder_loss(VAE, Critic(), prior=3), TypeError, ["prior is 3"]),
    "no prior": (
        lambda: adversarial_autoencoder_loss(VAE._replace(prior=None), Critic()), ValueError, ["no prior"],
    ),
    "sees": (lambda: with_critic(VAE, Critic(), sees="z"), ValueError, ["sees is 'z'", "code, example"]),
    "name twice": (
        lambda: with_critic(VAE, Critic(), name="encoder").init(KEY, jnp.zeros(SHAPE)), ValueError, ["'encoder'"],
    ),
    "no critic": (lambda: run("gan", without), ValueError, ["without 'critic'", "with_critic"]),
    "no critic of codes": (lambda: run("factor vae", without), ValueError, ["without 'critic'"]),
    "small batch": (lambda: run("factor vae", count=3), ValueError, ["3 examples", "at least 4"]),
    "no features": (lambda: run("vae-gan", critic=Plain()), ValueError, ["(logit, features)"]),
    "wide logit": (lambda: run("gan", critic=Wide()), ValueError, ["a logit of shape (2,)", "expected ()"]),
    "slope shapes": (lambda: gradient_penalty(jnp.sum, KEY, EMPTY, jnp.zeros(3)), ValueError, ["(3,)", "(2,)"]),
    "latents": (lambda: permute_latents(KEY, EMPTY), ValueError, ["z has shape (2,)", "[B, Z]"]),
    "logits": (lambda: minimax().generator(jnp.zeros(3, int)), TypeError, ["logits has dtype int32"]),
    "no parts": (lambda: optimizer_by_part({}, optax.sgd(1.0)), ValueError, ["parts is {}"]),
    "no optimizer": (lambda: optimizer_by_part({"critic": "adam"}, optax.sgd(1.0)), TypeError, ["'critic'", "'adam'"]),
    "no such part": (
        lambda: optimizer_by_part({"critics": optax.sgd(1.0)}, optax.sgd(1.0)).init({"critic": EMPTY}),
        ValueError,
        ["critics", "the parameters are critic"],
    ),
    "context": (lambda: vae_gan_loss(VAE._replace(context=3), Critic()), NotImplementedError, ["takes a context"]),
    "a gan's terms": (
        lambda: small_gan().terms({}, KEY, jnp.zeros(SHAPE)), ValueError, ["no likelihood", "gan_loss"],
    ),
    "layers": (lambda: MLPCritic(hidden=3), TypeError, ["hidden is 3"]),
    "sides": (lambda: ConvCritic((4, 4, 4)).init(KEY, jnp.zeros(SHAPE)), ValueError, ["multiples of 8"]),
}  # fmt: skip


@pytest.mark.rows(every=3)
@pytest.mark.parametrize("name", BAD)
def test_bad_inputs_are_answered(name):
    call, error, words = BAD[name]
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.slow
def test_added_parameters_see_those_of_the_model():
    model = add_parameters(small_vae(), lambda key, x, params: {"copy": 2 * params["encoder"]["w"]})
    params = quick_jit(model.init)(KEY, jnp.zeros(SHAPE))
    np.testing.assert_array_equal(params["copy"], 2 * params["encoder"]["w"])
