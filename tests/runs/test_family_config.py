"""Every prior, posterior, bound, estimator and kind that the command line names trains, is measured and comes back."""

import typing
from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxvae
from jaxvae.runs.builders.from_config import build_model, build_recipe, build_training
from jaxvae.runs.builders.objective import with_judge
from jaxvae.runs.choices.densities import DENSITIES
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.configs import config as configs
from jaxvae.runs.configs import model as model_config
from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig, ObjectiveConfig, OptimConfig
from jaxvae.runs.configs.serialize import changed_numbers
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.train import train_run
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import init_state

pytestmark = pytest.mark.quick_compile

TINY = ModelConfig(hidden=(16,), latent_dim=3)
IMAGES = jaxvae.data.load("digits").images[:200]
FLOWS = {"flows": 2, "flow_hidden": (8,)}
# Kinds that are told the class, games, whose losses need not fall, and densities: test_every_kind.py trains them.
OF_THEIR_OWN = [name for name, kind in KINDS.items() if kind.protocols]
NOT_ALONE = (
    "conditional",
    "semi_supervised",
    "factor",
    "adversarial",
    "vae_gan",
    "gan",
    "class_gan",
    "progressive_gan",
    *DENSITIES,
    *OF_THEIR_OWN,
)
MODELS = {
    **{f"prior {name}": {"prior": name} for name in typing.get_args(model_config.Prior)},
    **{f"posterior {name}": {"posterior": name} for name in typing.get_args(model_config.Posterior)},
    **{f"kind {name}": {"kind": name} for name in typing.get_args(model_config.Kind) if name not in NOT_ALONE},
}
MODELS["prior mixture"] |= {"prior_components": 5}
MODELS["prior vamp"] |= {"prior_components": 5}
for name in ("prior real_nvp", "prior spline", "posterior iaf", "posterior coupling"):
    MODELS[name] |= FLOWS
for name in ("kind hierarchical", "kind ladder"):
    MODELS[name] |= {"first_latents": 4, "upper_hidden": (8,)}
OBJECTIVES = {
    **{f"bound {name}": {"bound": name, "samples": 4} for name in typing.get_args(configs.Bound)},
    **{f"estimator {name}": {"estimator": name, "samples": 4} for name in typing.get_args(configs.Estimator)},
    **{f"penalty {name}": {"penalty": name} for name in typing.get_args(configs.Penalty)},
}
OBJECTIVES["bound miwae"] |= {"groups": 2}
OBJECTIVES["estimator piwae"] |= {"groups": 2, "bound": "iwae"}
OBJECTIVES["estimator doubly_reparameterized"] |= {"bound": "iwae"}


def tiny(model=None, objective=None) -> Config:
    return validate(
        Config(
            epochs=2,
            batch_size=50,
            progress=False,
            parallel="jit",
            data=DataConfig("digits", protocol="dynamic"),
            model=replace(TINY, **(model or {})),
            objective=ObjectiveConfig(**(objective or {})),
            optim=OptimConfig(lr=1e-2),
        )
    )


def losses(config: Config) -> np.ndarray:
    model = build_model(config.model, (8, 8, 1), IMAGES)
    parts = build_training(config, model, 4)
    state = init_state(model, parts.optimizer, jax.random.key(0), np.zeros((8, 8, 1), np.float32))
    compiled = compile_steps(*parts, batch_size=50, steps_per_call=4, mode="jit")
    return np.concatenate([report.metrics["loss"] for report in train(compiled, state, IMAGES, 40)])


@pytest.mark.rows(every_slow=4)
@pytest.mark.rows(quick=["kind vae"])
@pytest.mark.rows(
    full=[
        "kind autoencoder",
        "kind ladder",
        "posterior coupling",
        "posterior full",
        "posterior iaf",
        "posterior low_rank",
        "posterior planar",
        "posterior radial",
        "prior mixture",
        "prior real_nvp",
        "prior spline",
        "prior standard_normal",
        "prior vamp",
    ]
)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_the_command_line_names_trains(name):
    found = losses(tiny(MODELS[name]))
    assert np.isfinite(found).all()
    assert found[-8:].mean() < found[:8].mean() - 1.0


@pytest.mark.rows(every_slow=3)
@pytest.mark.rows(quick=["penalty none"])
@pytest.mark.rows(
    full=[
        "bound capacity",
        "bound ciwae",
        "bound elbo",
        "bound free_bits",
        "bound iwae",
        "bound miwae",
        "bound renyi",
        "bound vr_max",
        "estimator piwae",
        "estimator score_function",
        "estimator sticking_the_landing",
        "penalty mmd",
    ]
)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_the_command_line_names_trains(name):
    found = losses(tiny(objective=OBJECTIVES[name]))
    assert np.isfinite(found).all()
    assert found[-8:].mean() < found[:8].mean() - 1.0


@pytest.mark.slow
@pytest.mark.rows(slow=["free_bits"])
@pytest.mark.parametrize("bound", ["free_bits", "capacity"])
def test_free_bits_and_capacity_compare_the_mean_kl_of_the_minibatch_unless_each_examples_is_asked_for(bound):
    """By hand, from the KL [B, Z] of each example: max(free, mean KL_j) or |mean KL - C| against the mean of either."""
    options = {"bound": bound, "free_bits": 0.6} if bound == "free_bits" else {"bound": bound, "capacity": 20.0}
    found = {}
    for kl_over in ("minibatch", "example"):
        config = tiny(objective={**options, "kl_over": kl_over})
        model = build_model(config.model, (8, 8, 1), IMAGES)
        params = jax.jit(model.init)(jax.random.key(0), np.zeros((8, 8, 1), np.float32))
        params["encoder"] = jax.tree.map(lambda leaf: 3 * leaf, params["encoder"])  # some KLs above and some below
        keys, x = jax.random.split(jax.random.key(1), 20), (IMAGES[:20] / 255 > 0.5).astype(np.float32)
        found[kl_over] = float(build_training(config, model, 4).loss(params, keys, x, np.int32(0))[0])
        terms = jax.vmap(model.terms, (None, 0, 0))(params, keys, x)
    kl, reconstruction = np.asarray(terms.kl, np.float64), -float(terms.log_likelihood.mean())

    def cost(kl):
        if bound == "free_bits":
            return np.maximum(kl, 0.6).sum(-1)
        return 10.0 * np.abs(kl.sum(-1) - 20.0)

    assert found["minibatch"] == pytest.approx(reconstruction + cost(kl.mean(0)), rel=1e-5)
    assert found["example"] == pytest.approx(reconstruction + cost(kl).mean(), rel=1e-5)
    assert found["example"] > found["minibatch"] + 1e-3


@pytest.mark.rows(full=["kind autoencoder", "kind hierarchical", "posterior iaf", "prior vamp"])
@pytest.mark.parametrize("name", ["prior vamp", "posterior iaf", "kind hierarchical", "kind autoencoder"])
def test_a_run_leaves_pictures_and_a_summary_and_opens_again(name, tmp_path):
    lines: list[str] = []
    outcome = train_run(tiny(MODELS[name]), tmp_path / "a", say=lines.append)
    assert outcome.summary["test"]["reconstruction"]["nats"] > 0
    assert (tmp_path / "a" / "pictures" / "reconstructions.png").stat().st_size > 4000
    model, params, _ = jaxvae.load(tmp_path / "a")
    x = np.zeros((2, 8, 8, 1), np.float32)
    found = jaxvae.per_example(model, params, jax.random.key(0), x)
    np.testing.assert_allclose(
        found["log_likelihood"],
        jaxvae.per_example(outcome.model, outcome.params, jax.random.key(0), x)["log_likelihood"],
        rtol=1e-6,
    )


@pytest.mark.rows(slow=["conv", "resnet"])
@pytest.mark.parametrize("network", ["mlp", "conv", "resnet"])
def test_the_decoder_starts_at_the_mean_image(network):
    model = build_model(replace(TINY, output_bias="data_mean", network=network, features=(4,)), (8, 8, 1), IMAGES)
    params = jax.jit(model.init)(jax.random.key(0), np.zeros((8, 8, 1), np.float32))
    means = jax.vmap(lambda key: model.likelihood.mean(params, 0.01 * jax.random.normal(key, (3,))))(
        jax.random.split(jax.random.key(1), 50)
    )
    np.testing.assert_allclose(means.mean(0), np.clip(IMAGES.mean(0) / 255, 1 / 510, 1), atol=0.02)


@pytest.mark.parametrize("network", ["conv", "resnet"])
def test_pictures_too_small_for_the_depth_are_told_the_options(network):
    build_model(replace(TINY, network=network, features=(2, 2)), (12, 8, 3))
    for shape, words in [
        ((12, 8, 3), "12 x 8 pixels.*multiples of 8. Set --model.features 2 3 .*--data.size 16 8"),
        ((6, 4, 1), "Set --model.features 2 .1 number., or .*--data.size 8 8"),
        ((5, 8, 1), "Set --model.network mlp, or"),
    ]:
        with pytest.raises(ValueError, match=words):
            build_model(replace(TINY, network=network, features=(2, 3, 4)), shape)


@pytest.mark.parametrize("options", [{"network": "conv"}, {"kind": "deep", "latent_dim": 2}, {"kind": "diffusion"}])
def test_gates_are_refused_where_no_mlp_has_them(options):
    def start():
        model = build_model(replace(TINY, activation="gated", **options), (8, 8, 1))
        jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((8, 8, 1)))

    with pytest.raises(ValueError, match=r"activation is 'gated', which the hidden layers.*--model.network mlp"):
        start()


UNREAD = [
    ({"rank": 3}, {}, "model.rank is 3", "--model.posterior"),
    ({"flows": 2}, {}, "model.flows is 2", "real_nvp"),
    ({"prior_components": 3}, {}, "model.prior_components is 3", "vamp"),
    ({"first_latents": 3}, {}, "model.first_latents is 3", "ladder"),
    ({"kind": "ladder", "prior": "vamp"}, {}, "model.prior is 'vamp'", "--model.kind vae"),
    ({"kind": "hierarchical", "network": "conv"}, {}, "model.network is 'conv'", "mlp"),
    ({}, {"alpha": 0.2}, "objective.alpha is 0.2", "renyi"),
    ({}, {"mix": 2.0, "bound": "ciwae"}, "objective.mix is 2.0", "at least 0"),
    ({}, {"groups": 3, "bound": "miwae", "samples": 4}, "objective.groups is 3", "samples 4"),
    ({"kind": "autoencoder"}, {"bound": "iwae"}, "objective.bound is 'iwae'", "'autoencoder' does not take"),
    ({"kind": "autoencoder"}, {"beta": 2.0}, "objective.beta is 2.0", "'autoencoder' does not take"),
    ({"kind": "ladder"}, {"penalty": "mmd"}, "objective.penalty is 'mmd'", "'ladder' does not take"),
    ({"kind": "semi_supervised"}, {"penalty": "mmd"}, "objective.penalty is 'mmd'", "'semi_supervised' does not take"),
    ({}, {"penalty": "total_correlation", "beta": 2.0}, "objective.beta is 2.0", "'total_correlation' does not take"),
    ({"posterior": "iaf"}, {"penalty": "dip_i"}, "objective.penalty is 'dip_i'", "diagonal"),
    ({}, {"penalty_weight": 2.0}, "objective.penalty_weight is 2.0", "mmd"),
]


@pytest.mark.parametrize(("model", "objective", "found", "mend"), UNREAD, ids=lambda value: str(value)[:40])
def test_options_that_nothing_reads_or_that_do_not_fit_are_named(model, objective, found, mend):
    with pytest.raises(ValueError, match=found.split()[0]) as caught:
        tiny(model, objective)
    assert found in str(caught.value)
    assert mend in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "asked", "remembers"), [("gan", None, False), ("gan", 0.9, True), ("vae", 0.0, False)]
)
def test_a_game_keeps_no_gradients_of_before_unless_it_is_asked(kind, asked, remembers):
    """After a step of a gradient, one of no gradient: an optimizer with a memory moves on."""
    model = ModelConfig(kind=kind, hidden=(2,), latent_dim=2, critic_hidden=(2,))
    config = Config(model=model, optim=OptimConfig(b1=asked))
    made = build_recipe(config, build_model(model, (2, 2, 1)), 1)
    params = made.model.init(jax.random.key(0), np.zeros((2, 2, 1), np.float32))
    ones, zeros = (jax.tree.map(lambda leaf, v=v: v + 0 * leaf, params) for v in (1.0, 0.0))
    state = made.optimizer.update(ones, made.optimizer.init(params), params)[1]
    moved = made.optimizer.update(zeros, state, params)[0]
    assert any(np.abs(leaf).max() > 1e-6 for leaf in jax.tree.leaves(moved)) == remembers


def test_another_network_in_the_judges_file_is_another_run_and_the_same_in_another_place_is_not(tmp_path):
    def noted(name, value):
        path = tmp_path / f"{name}.npz"
        np.savez(path, kernel_0=np.full((1, 1, 1, 2), value, np.float32), bias_0=np.zeros(2, np.float32))
        return with_judge(Config(objective=ObjectiveConfig(penalty="features", features=str(path))))

    first, moved, other = noted("first", 1.0), noted("moved", 1.0), noted("first", 2.0)
    assert len(first.objective.features_sha256) == 64
    assert changed_numbers(first, moved) == []
    assert [entry[0] for entry in changed_numbers(first, other)] == ["objective.features_sha256"]
    unknown = replace(first, objective=replace(first.objective, features_sha256=None))  # an earlier version's
    assert changed_numbers(unknown, other) == []
