"""Sweeps in one program: each member is the run it would be alone; and the experiments made of them."""

import json

import jax
import numpy as np
import pytest
from small import images, small_vae

import jaxvae
from experiments.lectures import rate_distortion
from experiments.studies import disentanglement
from jaxvae.evaluation.statistics import mean_and_error
from jaxvae.training.engine.sweep import member, train_sweep

pytestmark = pytest.mark.quick_compile


@pytest.mark.slow
def test_a_member_of_a_sweep_is_the_run_it_would_be_alone():
    model, data, ticks = small_vae(), images(50), []
    optimizer = jaxvae.make_optimizer("adam", 1e-2)
    params = train_sweep(
        model,
        lambda hyper: jaxvae.bound_loss(model, jaxvae.elbo, beta=hyper["beta"]),
        optimizer,
        data,
        hyper={"beta": (1.0, 4.0)},
        seeds=2,
        epochs=2,
        batch_size=10,
        protocol="grey",
        tick=lambda: ticks.append(1),
    )
    assert len(ticks) == 2
    loss = jaxvae.bound_loss(model, jaxvae.elbo, beta=4.0)
    alone, _ = jaxvae.fit(
        model, data, protocol="grey", loss=loss, optimizer=optimizer, epochs=2, batch_size=10, seed=1, progress=False
    )
    swept = member(params, 1, 1)
    for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(swept), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    first, other = jax.tree.leaves(member(params, 0, 1))[0], jax.tree.leaves(swept)[0]
    assert np.abs(first - other).max() > 1e-4  # the strength matters


@pytest.mark.full
def test_a_sweep_that_diverges_names_the_member():
    model = small_vae()
    with pytest.raises(FloatingPointError, match=r"beta inf, seed 0 had \d+ steps that were not finite"):
        train_sweep(
            model,
            lambda hyper: jaxvae.bound_loss(model, jaxvae.elbo, beta=hyper["beta"]),
            jaxvae.make_optimizer("adam", 1e-2),
            images(20),
            hyper={"beta": (1.0, float("inf"))},
            seeds=1,
            epochs=1,
            batch_size=10,
            protocol="grey",
        )


def test_a_mean_comes_with_its_standard_error_over_seeds():
    assert mean_and_error([1.0, 3.0]) == (2.0, 1.0, 2)
    assert mean_and_error([1.0, 3.0]).text(2) == "2.00 ± 1.00"
    assert mean_and_error([0.25]).text(2) == str(mean_and_error([0.25])) == "0.25"


@pytest.mark.slow
def test_the_smallest_sweep_leaves_a_table_and_pictures(tmp_path, capsys, monkeypatch):
    grid = {"scales": (0.6, 1.0), "orientations": (0.0, 0.4), "columns": (0.0, 1.0), "rows": (0.0, 1.0)}
    monkeypatch.setattr(disentanglement, "GRID", grid)
    options = disentanglement.DisentanglementOptions(
        models=("beta",), strengths=(1.0,), seeds=2, epochs=1, size=8, hidden=(4,), latent_dim=2, batch_size=16,
        output=str(tmp_path), progress=False,
    )  # fmt: skip
    disentanglement.main(options)
    assert "beta 1" in capsys.readouterr().out
    assert len(list(tmp_path.glob("*.png"))) == 3
    (row,) = json.loads((tmp_path / "numbers.json").read_text())["results"]
    assert [set(one["scores"]) for one in row["seeds"]] == [set(disentanglement_names())] * 2


@pytest.mark.full
def test_the_sweep_of_models_leaves_a_table_and_pictures(tmp_path, capsys):
    options = disentanglement.DisentanglementOptions(
        models=("beta",), strengths=(1.0,), seeds=2, epochs=1, size=8, hidden=(8,), output=str(tmp_path), progress=False
    )
    disentanglement.main(options)
    assert "beta 1" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {
        "numbers.json", "scores.png", "information.png", "traversals.png",
    }  # fmt: skip
    (row,) = json.loads((tmp_path / "numbers.json").read_text())["results"]
    assert [set(one["scores"]) for one in row["seeds"]] == [set(disentanglement_names())] * 2
    assert all(0 <= score <= 1 for one in row["seeds"] for score in one["scores"].values())


def disentanglement_names():
    from jaxvae.evaluation.disentanglement import SCORES

    return [*SCORES, "udr"]


@pytest.mark.full
@pytest.mark.parametrize("name", disentanglement.MODELS)
def test_every_model_of_the_sweep_trains(name):
    plain = small_vae()
    model, make_loss, optimizer = disentanglement.objective(name, plain, 40)
    options = {"hyper": {"strength": (2.0,)}, "seeds": 1, "epochs": 1, "batch_size": 10, "protocol": "grey"}
    params = train_sweep(model, make_loss, optimizer, images(40), **options)
    assert ("critic" in params) is (name == "factor")


@pytest.mark.full
def test_the_curve_of_rate_and_distortion_is_measured_and_drawn(tmp_path, capsys):
    options = rate_distortion.RateOptions(
        betas=(1.0, 100.0), epochs=1, size=6, hidden=(8,), latent_dim=2, draws=50, output=str(tmp_path), progress=False
    )
    rate_distortion.main(options)
    assert "I at most log N = 8.72" in capsys.readouterr().out
    found = json.loads((tmp_path / "numbers.json").read_text())
    assert [point["beta"] for point in found["points"]] == [1.0, 100.0]
    assert found["points"][0]["rate"]["mean"] > found["points"][1]["rate"]["mean"]
    assert 0 < found["entropy"] < found["information_cap"]
    assert (tmp_path / "rate_distortion.png").stat().st_size > 4000


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: disentanglement.DisentanglementOptions(models=("tcv",)), ["'tcv'", "tc"]),
        (lambda: disentanglement.DisentanglementOptions(strengths=(-1.0,)), ["strengths is -1.0"]),
        (lambda: disentanglement.DisentanglementOptions(seeds=0), ["seeds is 0"]),
        (lambda: rate_distortion.RateOptions(betas=()), ["betas is empty", "--betas 0.5"]),
        (lambda: rate_distortion.RateOptions(betas=(float("nan"),)), ["betas is nan"]),
        (lambda: rate_distortion.RateOptions(epochs=0), ["epochs is 0"]),
    ],
)
def test_impossible_options_are_refused_before_any_work(call, words):
    options = call()
    main = disentanglement.main if isinstance(options, disentanglement.DisentanglementOptions) else rate_distortion.main
    with pytest.raises(ValueError, match=r".") as error:
        main(options)
    for word in words:
        assert word in str(error.value)
