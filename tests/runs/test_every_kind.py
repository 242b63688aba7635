"""Every kind of model that the command line names is a run: trained, resumed, measured, drawn from and looked into."""

import importlib
import json
from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxvae
from experiments.studies import complete, diffusion
from jaxvae.commands import sample
from jaxvae.evaluation.annealing.annealed import annealed_bounds
from jaxvae.evaluation.latents.generation import prior_means
from jaxvae.models.contexts import Labelled
from jaxvae.models.given_context import condition
from jaxvae.runs import train
from jaxvae.runs.builders.from_config import build_model
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.choices.likelihoods import LIKELIHOODS
from jaxvae.runs.configs.config import Config, ModelConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.given_data import preprocess_of
from jaxvae.runs.held_out import load_run_data
from jaxvae.runs.page import report_page
from jaxvae.training.checkpoints import checkpoint

pytestmark = pytest.mark.quick_compile

OWN = {  # options that the kind alone reads
    "hierarchical": {"first_latents": 4, "upper_hidden": (8,)},
    "ladder": {"first_latents": 4, "upper_hidden": (8,)},
    "deep": {"groups": (2, 1), "features": (4, 4), "factors": (4, 2), "latent_dim": 2},
    "categorical": {"categories": 3, "temperature": 0.5},
    "vq": {"codes": 8, "code_size": 2, "weight": 0.5},
    "vq_transformer": {"codes": 8, "code_size": 2, "pixel_layers": 1, "width": 4, "heads": 2},
    "semi_supervised": {"labelled": 0.2, "weight": 0.5},
    "denoising": {"corruption": "salt_and_pepper", "noise": 0.1},
    "rae": {"decoder_penalty": "gradient", "decoder_weight": 1e-4, "weight": 0.5},
    "sparse": {"weight": 0.5},
    **{
        name: {"critic_hidden": (6,), "critic_rate": 0.5, "weight": 2.0}
        for name in ("factor", "adversarial", "vae_gan")
    },
    "gan": {"critic_hidden": (6,), "game": "hinge", "weight": 0.3, "critic_steps": 2},
    "class_gan": {"critic_hidden": (6,), "critic_rate": 0.5, "weight": 0.3},
    "progressive_gan": {"critic_rate": 0.5, "weight": 0.3, "features": (4, 4), "grow_steps": 3},
    "contractive": {"weight": 0.5},
    "wasserstein": {"weight": 10.0},
    "pixel_cnn": {"pixel_features": 2, "pixel_layers": 2},
    "transformer": {"pixel_layers": 1, "width": 4, "heads": 2},
    "wavenet": {"pixel_features": 2, "pixel_layers": 2},
    "pixel_vae": {"pixel_features": 2, "pixel_layers": 2},
    "class_pixel_cnn": {"pixel_features": 2, "pixel_layers": 2},
    "maf": {"flows": 1, "flow_hidden": (4,)},
    "spline_flow": {"flows": 1, "flow_hidden": (4,)},
    "attention_flow": {"flows": 1, "width": 4, "heads": 2, "pixel_layers": 1, "patch": 2},
    "diffusion": {"prediction": "levels", "noise_schedule": "learned", "time_steps": 5, "draw_steps": 2},
    "diffusion_prior": {"flow_hidden": (4,), "draw_steps": 2},
    "class_diffusion": {
        "prediction": "x0",
        "noise_schedule": "cosine",
        "noise_start": -9.0,
        "noise_stop": 8.0,
        "draw_steps": 2,
    },
    "glow": {"flows": 1, "scales": 2, "pixel_features": 2},
}
# Kinds that differ from another one by a few lines: the long tier tries them.
LONG = [
    "hierarchical", "ladder", "deep", "autoencoder", "hyperspherical", "categorical", "denoising", "sparse",
    "contractive", "wasserstein", "adversarial", "vae_gan", "made", "spline_flow", "attention_flow", "wavenet",
    "diffusion", "pixel_vae", "semi_supervised", "transformer", "vq_transformer", "class_diffusion", "class_gan",
    "progressive_gan", "glow", "diffusion_prior",
]  # fmt: skip
SILENT = ("gan", "class_gan", "progressive_gan")  # of test images they say how many are near a draw, and nothing else
ANNEALED = {"vae", "hierarchical", "ladder", "conditional", "factor", "vae_gan", "pixel_vae"}
LOOKING = {
    "evaluate": {"samples": (1, 2), "limit": 20},
    "sample": {"count": 3},
    "reconstruct": {"count": 2, "samples": 1},
    "traverse": {"count": 3, "latents": 2},
    "interpolate": {"pairs": 1, "steps": 3},
    "manifold": {"count": 3},
    "codes": {"method": ("pca",), "limit": 40},
    "annealed": {"images": 2, "temperatures": 2, "chains": 2, "samples": 4, "steps": 0},
}


def tiny(kind: str, epochs: int = 1) -> Config:
    """Two steps an epoch, on images of 8x8."""
    model = {"hidden": (12,), "latent_dim": 3, **OWN.get(kind, {})}
    unread = {name.removeprefix("model.") for name in KINDS[kind].ignores}
    taken = {name: value for name, value in model.items() if name not in unread}
    own = KINDS[kind].protocols  # of a density that takes no likelihood
    model = ModelConfig(kind=kind, likelihood="bernoulli" if own else "discretized_logistic", **taken)
    data = replace(PRESETS["digits"].data, protocol=own[0] if own else "levels")
    return validate(replace(PRESETS["digits"], epochs=epochs, batch_size=750, progress=False, data=data, model=model))


@pytest.mark.rows(every_slow=3)
@pytest.mark.slow
@pytest.mark.rows(full=LONG)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_trained_resumed_measured_and_reported(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)
    folder, lines = tmp_path / "a", []
    first = train.train_run(tiny(kind), folder, say=lines.append)
    monkeypatch.undo()
    assert first.step == 2
    outcome = train.train_run(tiny(kind, epochs=2), folder, say=lines.append)
    assert any("Resuming at step 2 of 4" in line for line in lines)
    assert checkpoint.steps(folder / "checkpoints")[-1] == outcome.step == 4
    silent = kind in SILENT
    assert ("draws" in outcome.summary) == any("of 297 draws at 297 test images" in line for line in lines) == silent
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(record["loss"]) for record in records if record["split"] == "train")
    run = jaxvae.load(folder)
    assert run.config.model.kind == kind
    jax.tree.map(np.testing.assert_array_equal, run.params, outcome.params)
    assert (folder / "pictures" / f"{'prior_samples' if silent else 'curves'}.png").exists()
    page = report_page(folder, samples=2, limit=40)
    assert KINDS[kind].about in page
    assert "could not be drawn" not in page


@pytest.mark.rows(every_slow=3)
@pytest.mark.slow
@pytest.mark.rows(full=LONG)
@pytest.mark.parametrize("kind", KINDS)
def test_every_command_works_or_names_one_that_does(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)
    train.train_run(tiny(kind), tmp_path / "a", say=lambda line: None)
    refused = {}
    for command, options in LOOKING.items():
        module = importlib.import_module(f"jaxvae.commands.{command}")
        make = next(value for name, value in vars(module).items() if name.endswith("Options"))
        try:
            module.main(make(run=str(tmp_path / "a"), **options))
        except ValueError as error:
            refused[command] = str(error)
    for words in refused.values():
        assert "is of a model" in words
        other = words.split("Try jaxvae ")[1].split()[0]
        assert other not in refused
    assert ("evaluate" in refused) == (kind in SILENT)


@pytest.mark.parametrize("kind", KINDS)
def test_annealing_takes_weights_over_points_of_r_n_and_refuses_every_other_kind(kind):
    config = tiny(kind)
    model = build_model(config.model, (8, 8, 1), classes=10)
    x = np.zeros((2, 8, 8, 1), np.float32)
    if model.context is not None:
        x = Labelled(x, np.zeros(2, np.int32))
    real = {model.prior.support, model.posterior.support} == {"real"}
    if model.evidence == "weights" and real:
        codes = jax.eval_shape(condition(model, jax.tree.map(lambda a: a[0], x))[0].prior.sample, *abstract(model, x))
        assert all(np.issubdtype(leaf.dtype, np.floating) for leaf in jax.tree.leaves(codes))
        return
    assert kind not in ANNEALED
    with pytest.raises(ValueError, match=r"annealed importance sampling (goes through R\^n|needs weights of mean p)"):
        annealed_bounds(model, {}, jax.random.key(0), x)


def abstract(model, x):
    """What the prior's sample takes, as shapes."""
    first = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), x)
    return jax.eval_shape(model.init, jax.random.key(0), first), jax.random.key(0), None


@pytest.mark.full
def test_a_conditional_run_draws_the_class_that_is_asked_for(tmp_path, monkeypatch, capsys):
    """Of untrained networks, too, one label draws what the library draws of it, and another label something else."""
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)
    for kind in ("conditional", "vae"):
        train.train_run(tiny(kind), tmp_path / kind, say=lambda line: None)
    model, params, config = jaxvae.load(tmp_path / "conditional")
    assert config.data.classes == 10
    drawn = {}
    for label in (3, 4, None):
        path = tmp_path / f"{label}.npy"
        sample.main(sample.SampleOptions(str(tmp_path / "conditional"), count=12, label=label, output=str(path)))
        drawn[label] = np.load(path)
    for label in (3, 4):
        expected = model.to_unit(prior_means(model, params, jax.random.key(0), 12, context=label))
        np.testing.assert_allclose(drawn[label], expected, rtol=1e-6)
        np.testing.assert_allclose(drawn[None][label], expected[label], rtol=1e-6)
    assert np.abs(drawn[3] - drawn[4]).max() > 1e-3
    for kind, label, words in (("conditional", 10, "expected 0 to 9"), ("vae", 3, "takes none")):
        with pytest.raises(ValueError, match=f"label is {label}.*{words}"):
            sample.main(sample.SampleOptions(str(tmp_path / kind), label=label))


@pytest.mark.slow
def test_a_run_of_pixels_in_order_completes_images_and_keeps_what_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)
    for kind in ("class_pixel_cnn", "vae"):
        train.train_run(tiny(kind), tmp_path / kind, say=lambda line: None)
    path = tmp_path / "completed.npy"
    complete.main(complete.CompleteOptions(str(tmp_path / "class_pixel_cnn"), count=3, draws=2, output=str(path)))
    original, *draws = np.load(path).swapaxes(0, 1)
    for again in draws:
        np.testing.assert_array_equal(again[:, :4], original[:, :4])
        assert (again[:, 4:] != original[:, 4:]).any()
    with pytest.raises(ValueError, match=r"draws no pixel after the other.*Try jaxvae reconstruct"):
        complete.main(complete.CompleteOptions(str(tmp_path / "vae")))


@pytest.mark.full
def test_a_run_of_a_diffusion_is_scored_drawn_three_ways_and_completes_images(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)
    for kind in ("class_diffusion", "vae"):
        train.train_run(tiny(kind), tmp_path / kind, say=lambda line: None)
    options = {"samples": 2, "limit": 10, "steps": (2, 3), "guidance": 0.5, "repeats": 1, "label": 3}
    diffusion.main(diffusion.DiffusionOptions(str(tmp_path / "class_diffusion"), **options))
    assert "K = 2" in capsys.readouterr().out
    for name in ("draws", "path", "inpainting"):
        assert (tmp_path / "class_diffusion" / "pictures" / f"diffusion_{name}.png").exists()
    with pytest.raises(ValueError, match=r"is no diffusion.*Try jaxvae sample"):
        diffusion.main(diffusion.DiffusionOptions(str(tmp_path / "vae")))


def test_a_kind_that_is_told_the_class_refuses_data_without_labels(tmp_path):
    np.save(tmp_path / "images.npy", jaxvae.data.load("digits").images[:20])
    config = replace(tiny("conditional"), batch_size=4)
    with pytest.raises(ValueError, match=r"'conditional', which is told the class.*has no labels.*--model.kind vae"):
        load_run_data(replace(config, data=replace(config.data, name=str(tmp_path / "images.npy"))))
    with pytest.raises(ValueError, match=r"model\.labelled is 0\.5, but nothing reads it here: set --model\.kind semi"):
        validate(replace(config, model=replace(config.model, labelled=0.5)))


def test_of_a_semi_supervised_run_some_labels_are_shown_and_the_test_is_measured_without_any():
    config = tiny("semi_supervised")
    found = load_run_data(config)
    shown = found.examples.context >= 0
    labels = jaxvae.data.load("digits").labels
    assert shown.sum() == 300  # 0.2 of 1,500
    np.testing.assert_array_equal(found.examples.context[shown], labels[shown])
    model = build_model(config.model, (8, 8, 1), classes=found.config.data.classes)
    assert (found.test.given(model).context == -1).all()


@pytest.mark.rows(every_slow=3)
@pytest.mark.slow
@pytest.mark.rows(quick=["negative_binomial"])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_likelihood_scores_and_draws_what_each_of_its_protocols_makes(name):
    config = ModelConfig(hidden=(4,), latent_dim=2, likelihood=name)
    model, images = build_model(config, (8, 8, 1)), jaxvae.data.load("digits").images[:3]
    for protocol in LIKELIHOODS[name].protocols:
        raw = images if protocol in jaxvae.data.PROTOCOLS else np.float32(images // 64)  # small numbers, of a table
        x = jax.vmap(preprocess_of(protocol))(jax.random.split(jax.random.key(0), 3), raw)
        model.check(x, "x")
        params = jax.jit(model.init)(jax.random.key(1), x[0])
        assert np.isfinite(model.terms(params, jax.random.key(2), x[0]).log_weight)
        drawn, _ = model.likelihood.sample(params, jax.random.key(3), np.zeros(2, np.float32))
        model.check(drawn, "drawn")
