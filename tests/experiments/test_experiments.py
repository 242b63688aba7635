"""The experiments that train several models: their tables hold every row, with errors and settings."""

import importlib

import pytest

from experiments.tables.burda_cells import PUBLISHED, cell_config
from experiments.tables.model_zoo import MODEL_ZOO
from experiments.tables.priors import PriorsOptions, row_config
from jaxvae.commands.cli import parse_options
from jaxvae.data.prepared.versions import prepared_names
from jaxvae.runs.builders.from_config import build_model
from jaxvae.runs.configs.validate import validate

pytestmark = pytest.mark.quick_compile


def run(script: str, *args: str) -> None:
    module = importlib.import_module(f"experiments.{script}")
    options = getattr(module, "".join(word.capitalize() for word in script.split("_")[:1]) + "Options")
    module.main(parse_options(options, args))


@pytest.mark.slow
@pytest.mark.parametrize(
    "members", [("vae", "denoising"), pytest.param(tuple(MODEL_ZOO), marks=pytest.mark.full)], ids=["some", "all"]
)
def test_the_family_trains_and_prints_a_row_and_a_picture_for_each(members, tmp_path, capsys):
    picture = tmp_path / "family.png"
    run("family", "--members", *members, "--epochs", "1", "--samples", "2", "--no-progress", "--output", str(picture))
    printed = capsys.readouterr().out
    assert all(f"│ {name} " in printed for name in members)
    assert "K = 2" in printed
    assert picture.stat().st_size > 4000


def test_an_unknown_member_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(ValueError, match="vamp_prior"):
        run("family", "--members", "vamp_pror", "--output", str(tmp_path / "a.png"))


@pytest.mark.parametrize("cell", PUBLISHED)
def test_every_cell_of_burdas_table_is_a_run_that_can_be_built(cell):
    config = validate(cell_config(cell, stages=3))
    objective, layers, samples = cell.split("-")
    assert config.epochs == 13
    assert config.objective.samples == int(samples[1:])
    assert (config.objective.bound == "elbo") == (objective == "vae")
    assert (config.model.kind == "hierarchical") == (layers == "2")
    assert build_model(config.model, (28, 28, 1)).event_shape == (28, 28, 1)


def test_the_rows_of_the_comparison_differ_in_their_prior_or_posterior_only():
    plain, *others = (validate(row_config(row, PriorsOptions())) for row in PriorsOptions().rows)
    for other in others:
        assert other.objective == plain.objective
        assert other.optim == plain.optim
        assert other.model.hidden == plain.model.hidden
        assert (other.model.prior, other.model.posterior) != (plain.model.prior, plain.model.posterior)


@pytest.mark.full
@pytest.mark.parametrize("script", ["burda", "priors"])
def test_a_comparison_on_mnist_prints_a_bound_with_its_error_for_each_row(script, tmp_path, capsys):
    if "mnist" not in prepared_names():
        pytest.skip("MNIST is not prepared: set TFDS_DATA_DIR")
    small = {
        "burda": ["--cells", "vae-1-k1", "iwae-2-k5", "--stages", "1"],
        "priors": ["--rows", "plain", "flow", "--epochs", "1"],
    }[script]
    run(script, *small, "--samples", "3", "--limit", "20", "--no-progress", "--workdir", str(tmp_path))
    printed = capsys.readouterr().out
    assert printed.count("±") >= 2
    assert "K = 3, the first 20 test images" in printed
