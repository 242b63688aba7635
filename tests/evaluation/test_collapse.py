"""Posterior collapse: found in a run that is forced into it, not in a healthy one; and the charts of rates."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from small import images, small_vae

from jaxvae.evaluation import latents
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.latents.collapse import LatentUse, collapse_warning, has_collapsed, latent_use
from jaxvae.evaluation.plots import charts, rate_charts, score_charts
from jaxvae.models.priors.mixture import gaussian_mixture_prior
from jaxvae.models.variational import vae
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.runs import train
from jaxvae.runs.configs.config import ModelConfig, ObjectiveConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.folder.metrics import read_metrics
from jaxvae.runs.folder.pictures import draw_pictures
from jaxvae.runs.held_out import HeldOut

pytestmark = pytest.mark.quick_compile

DIGITS = replace(
    PRESETS["digits"],
    epochs=2,
    batch_size=10,
    evaluate_every=2,
    save_every=2,
    parallel="jit",
    progress=False,
    model=replace(PRESETS["digits"].model, hidden=(32,), latent_dim=8),
)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)


def run(folder, **changes):
    """(warnings, outcome) of a short run."""
    said = []
    outcome = train.train_run(replace(DIGITS, **changes), folder / "run", say=said.append)
    return [line for line in said if "collapse" in line], outcome


@pytest.mark.slow
def test_a_run_that_is_forced_to_collapse_says_so_after_one_epoch_and_how_to_mend_it(tmp_path):
    warnings, outcome = run(tmp_path, objective=ObjectiveConfig(beta=100.0))
    assert len(warnings) == 1  # once, though every later epoch has collapsed as well
    for words in (
        "Warning after epoch 1: Posterior collapse",
        "variance of the posterior mean above 0.01",
        "KL per latent, nats, largest first: 0.0",
        "lower beta (now 100)",
        "--objective.warmup-epochs",
        "--objective.bound free_bits",
    ):
        assert words in warnings[0]
    assert outcome.summary["active_units"] <= 1
    assert f"{outcome.summary['active_units']} of 8 latents are active" in warnings[0].replace("1 of 8", "0 of 8")
    assert max(outcome.summary["kl_per_latent"]) < 0.02


@pytest.mark.slow
def test_a_healthy_run_is_not_warned_of_and_logs_the_kl_of_each_latent(tmp_path):
    warnings, outcome = run(tmp_path)
    assert warnings == []
    records = read_metrics(outcome.folder / "metrics.jsonl")
    tests = [record for record in records if record["split"] == "test"]
    assert len(tests) == 1  # looking at the latents after every epoch measures no more than was asked for
    assert tests[0]["active_units"] == outcome.summary["active_units"] == 8
    assert sum(tests[0]["kl_per_latent"]) == pytest.approx(tests[0]["kl"], rel=1e-4)
    assert all(len(record["kl_per_latent"]) == 8 for record in records)
    _, ax = rate_charts.kl_over_training([record for record in records if record["split"] == "train"])
    assert len(ax.lines) == 8
    assert ax.get_title(loc="left") == "8 of 8 latents above 0.01 nats at the end"


def test_many_latents_over_training_are_told_apart_by_their_lightness():
    record = {"epoch": 1, "kl_per_latent": np.arange(20, 0, -1).tolist()}
    _, ax = rate_charts.kl_over_training([record, record | {"epoch": 2}])
    strongest_last = [int(line.get_color()[1:3], 16) for line in ax.lines]
    assert len(set(strongest_last)) == 20
    assert strongest_last == sorted(strongest_last, reverse=True)


@pytest.mark.full
def test_free_bits_keep_the_latents_in_use(tmp_path):
    warnings, outcome = run(tmp_path, objective=ObjectiveConfig(bound="free_bits", free_bits=0.5))
    assert warnings == []
    assert outcome.summary["active_units"] == 8


@pytest.mark.slow
def test_an_autoencoder_has_nothing_to_collapse(tmp_path):
    code = ModelConfig(kind="autoencoder", hidden=(8,), latent_dim=4, likelihood="discretized_logistic")
    warnings, outcome = run(tmp_path / "code", model=code, epochs=1)
    assert warnings == []
    assert outcome.summary["active_units"] is None
    assert outcome.summary["kl_per_latent"] == []


def test_active_units_are_those_whose_posterior_mean_varies():
    model = small_vae()
    x = images(40).astype(np.float32) / 255
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    weights = np.array(params["encoder"]["w"])
    weights[:, 1] = 0.0  # the mean of the second latent no longer depends on x
    params["encoder"]["w"] = weights
    use = latent_use(model, params, np.ones((40, 3)), x)
    assert use.active.tolist() == [True, False, True]
    assert use.kl.tolist() == [1.0, 1.0, 1.0]


def test_of_latents_that_are_no_vector_of_real_numbers_the_kl_decides():
    model = small_vae()
    model = model._replace(posterior=model.posterior._replace(support="sphere"))
    use = latent_use(model, {}, np.array([0.5, 0.001]), np.zeros((2, 4, 4, 1), np.float32))
    assert use.active.tolist() == [True, False]
    assert use.by == "KL above 0.01 nats"


def test_nats_that_say_the_same_of_every_example_are_not_called_a_code_that_is_ignored():
    """Early in a training q may be narrow and far from the prior, yet equal for all: a KL of 7 is no prior."""
    early = LatentUse(np.array([6.9, 0.5]), np.zeros(2, bool), "")
    words, usual = collapse_warning(early), collapse_warning(early._replace(kl=np.array([0.003, 0.001])))
    assert "nearly the same code" in words
    assert "To mend it: train on" in words
    assert "ignores the code" not in words
    assert "The decoder ignores the code." in usual
    assert "train on" not in usual


@pytest.mark.slow
def test_a_kl_that_is_one_number_is_credited_to_no_single_latent(tmp_path):
    """Under a mixture: the latents are counted and ordered by their posterior means, and the total is named one."""
    model = vae(
        MLPEncoder(3, (8,)),
        MLPDecoder((4, 4, 1), hidden=(8,)),
        event_shape=(4, 4, 1),
        latent_dim=3,
        prior=gaussian_mixture_prior(2, 3),
    )
    x = images(40).astype(np.float32) / 255
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    kl = per_example(model, params, jax.random.key(0), x)["kl_per_latent"]
    assert kl.shape == (40, 1)
    means = latents.posterior_means(model, params, x)
    strengths = latents.latent_strengths(model, params, kl, x)
    np.testing.assert_allclose(strengths.values, means.astype(np.float64).var(0), rtol=1e-5)
    assert strengths.unit == "variance"
    assert strengths.strongest(10) == tuple(np.argsort(-means.var(0)))
    use = latent_use(model, params, kl, x)
    assert use.active.size == 3
    collapsed = collapse_warning(use._replace(active=np.zeros(3, bool)))
    assert f"KL of all latents together: {kl.mean():.3f} nats" in collapsed
    assert "0 of 3 latents" in collapsed
    records = [{"epoch": i, "kl_per_latent": [float(i)]} for i in range(3)]
    titles = [
        rate_charts.kl_over_training(records, latents=3)[1].get_title(loc="left"),
        charts.kl_per_latent(kl, latents=3)[1].get_title(loc="left"),
    ]
    assert titles[0] == "KL of all 3 latents together: 2.0 nats at the end"
    assert titles[1] == f"{kl.mean():.1f} nats, all 3 latents together"
    drawn = HeldOut(x, (x * 255).astype(np.uint8), None, "grey", 0, "")
    paths = draw_pictures(tmp_path, model, params, drawn, kl.mean(0), tmp_path / "none.jsonl", lambda line: None)
    assert {path.stem for path in paths} >= {"codes", "kl_per_latent"}


@pytest.mark.parametrize(
    ("active", "collapsed"),
    [([0], True), ([1], False), ([1, 0, 0], False), ([0, 0, 0], True), ([1, 0, 0, 0], True), ([1, 1, 0, 0], False)],
)
def test_one_latent_of_four_is_a_collapse_and_one_of_three_is_none(active, collapsed):
    assert has_collapsed(LatentUse(np.ones(len(active)), np.array(active, bool), "")) is collapsed


def test_the_warning_names_what_the_caller_can_do():
    use = LatentUse(np.linspace(0, 0.001, 12), np.zeros(12, bool), "variance above 0.01")
    text = collapse_warning(use, remedies=("raise epochs",))
    assert text.endswith("To mend it: raise epochs.")
    assert "0.001 0.001" in text
    assert "0.000 and less. The decoder" in text
    assert "beta" not in collapse_warning(use, beta=1.0)


def test_the_rate_distortion_chart_names_the_best_bound_and_takes_axes():
    rate, distortion = [0.0, 4.0, 9.0], [30.0, 12.0, 10.0]
    figure, ax = rate_charts.rate_distortion_curve(rate, distortion, ["4", "1", "0.1"], entropy=9.0)
    assert ax.get_title(loc="left") == "Best \N{MINUS SIGN}ELBO: 16.0 nats, at 1"
    assert {text.get_text() for text in ax.texts} >= {"4", "1", "0.1", "R + D = 16.0, the best"}
    again, same = rate_charts.rate_distortion_curve(
        rate, distortion, ["4", "1", "0.1"], errors=([0.1] * 3, [1.0] * 3), title="mine", ax=figure.add_subplot()
    )
    assert again is figure
    assert same is not ax
    assert same.get_title(loc="left") == "mine"


def test_score_charts_draw_every_model_and_shade_every_cell():
    values = np.random.default_rng(0).random((3, 2, 4))
    values[0, 1] = np.nan
    _, axes = score_charts.score_dots(["a", "b", "c"], ["MIG", "UDR"], values, groups=[0, 0, 1], title="all")
    assert [len(ax.collections) + len(ax.containers) for ax in axes] == [6, 4]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["a", "b", "c"]
    _, ax = score_charts.information_map(np.eye(3)[:, :2], ["x", "y"], limits=np.array([1.0, 2.0]))
    assert ax.images[0].get_array().tolist() == [[1.0, 0.0], [0.0, 0.5], [0.0, 0.0]]
    assert [text.get_text() for text in ax.texts][:3] == ["1.00", "0.00", "0.00"]


ONE = np.ones((2, 2))
BAD = {
    "kl of three axes": (lambda: latent_use(small_vae(), {}, np.ones((1, 1, 1)), None), ["kl has shape (1, 1, 1)"]),
    "beta below 0": (lambda: collapse_warning(LatentUse(ONE[0], ONE[0] > 0, ""), beta=-1.0), ["beta is -1.0"]),
    "no records": (lambda: rate_charts.kl_over_training([{"epoch": 1}]), ["none of 1 records", "'kl_per_latent'"]),
    "labels": (lambda: rate_charts.rate_distortion_curve([1], [2], []), ["0 labels", "every model"]),
    "a rate of NaN": (lambda: rate_charts.rate_distortion_curve([np.nan], [2], ["a"]), ["not finite"]),
    "scores": (lambda: score_charts.score_dots(["a"], ["b"], np.ones((1, 2, 3))), ["(1, 2, 3)", "(1, 1, S)"]),
    "groups": (lambda: score_charts.score_dots(["a"], ["b"], np.ones((1, 1, 1)), groups=[]), ["0 numbers for 1 rows"]),
    "axes": (lambda: score_charts.score_dots(["a"], ["b"], np.ones((1, 1, 1)), ax=[]), ["ax has 0 axes"]),
    "factors": (lambda: score_charts.information_map(ONE, ["x"]), ["(2, 2)", "(Z, 1)"]),
    "latents": (lambda: score_charts.information_map(ONE, ["x", "y"], latent_names=["z"]), ["1 names for 2 latents"]),
    "limits": (lambda: score_charts.information_map(ONE, ["x", "y"], limits=np.zeros(2)), ["2 positive numbers"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_words(case):
    call, words = BAD[case]
    with pytest.raises(ValueError, match=r".") as error:
        call()
    for word in words:
        assert word in str(error.value)
