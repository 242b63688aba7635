"""What README and the book show runs: their Python blocks, and every experiment on a run folder."""

import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from jaxvae.commands.cli import parse_options
from jaxvae.runs.configs.config import ModelConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.train import train_run

pytestmark = pytest.mark.quick_compile

ROOT = Path(__file__).parents[2]
BLOCKS = {
    f"{page.relative_to(ROOT).with_suffix('').as_posix()}-{number}": block
    for page in [ROOT / "README.md", *sorted((ROOT / "notebooks").rglob("*.md"))]
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
}


@pytest.mark.rows(quick=["README-0"])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_python_block_of_readme_and_of_the_book_runs(name, capsys):
    exec(compile(BLOCKS[name].replace("epochs=20", "epochs=1"), name, "exec"), {})
    for number in re.findall(r"-ELBO (\d+\.\d) nats", capsys.readouterr().out):
        assert float(number) < 42  # 64 pixels that are bright with probability 0.3 have an entropy of 39.1 nats


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the digits, with one conv layer."""
    from dataclasses import replace

    model = ModelConfig(network="conv", features=(4,), dense=8, latent_dim=3, likelihood="discretized_logistic")
    config = replace(PRESETS["digits"], epochs=1, batch_size=500, evaluate_every=1, parallel="jit", progress=False)
    folder = tmp_path_factory.mktemp("smoke") / "a"
    train_run(replace(config, model=model), folder, say=lambda line: None)
    return str(folder)


def call(script: str, *args: str) -> None:
    """Runs the body of an experiment with the words of a command line."""
    module = importlib.import_module(f"experiments.{script}")
    options = getattr(module, f"{script.capitalize()}Options")
    module.main(parse_options(options, args))


@pytest.mark.slow
def test_evaluate_prints_bounds_with_errors_and_their_setting(run, capsys):
    call("evaluate", run, "--samples", "3", "--json")
    printed = json.loads(capsys.readouterr().out)
    summary = json.loads((Path(run) / "summary.json").read_text())["test"]
    assert printed["sha256"] == summary["sha256"]
    elbo, iwae = printed["estimates"]["-ELBO"], printed["estimates"]["-IW-3"]
    assert iwae["mean"] < elbo["mean"]
    assert abs(elbo["mean"] - summary["negative_elbo"]["nats"]) < 4 * elbo["standard_error"]
    call("evaluate", run, "--samples", "1", "4", "--limit", "9")
    shown = capsys.readouterr().out
    for words in ("per image", "nats", "-IW-1 ", "-IW-4 ", "K = 4", "a fixed random 9 of", printed["sha256"]):
        assert words in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "args", "shape"),
    [
        ("sample", ["--count", "5", "--kind", "samples"], (5, 8, 8, 1)),
        ("reconstruct", ["--count", "4", "--samples", "2"], (4, 4, 8, 8, 1)),
        ("traverse", ["--count", "3", "--latents", "2"], (2, 3, 8, 8, 1)),
    ],
)
def test_a_looking_script_writes_its_picture_or_its_array(run, tmp_path, script, args, shape):
    call(script, run, *args)
    assert list((Path(run) / "pictures").glob(f"{script}*.png"))
    call(script, run, *args, "--output", str(tmp_path / "x.npy"))
    images = np.load(tmp_path / "x.npy")
    assert images.shape == shape
    assert images.min() >= 0
    assert images.max() <= 1


@pytest.mark.slow
def test_an_output_of_another_kind_is_refused(run, tmp_path):
    with pytest.raises(ValueError, match=r"expected a name that ends in \.png or \.npy"):
        call("sample", run, "--output", str(tmp_path / "x.gif"))


@pytest.mark.full
def test_annealed_prints_both_sides_and_the_parts_of_the_gap(run, capsys):
    small = ["--images", "2", "--temperatures", "8", "--chains", "2", "--leapfrog-steps", "2"]
    call("annealed", run, *small, "--samples", "5", "--steps", "3", "--json")
    printed = json.loads(capsys.readouterr().out)
    found = {(row["setting"]["data"], row["name"]): row["estimate"]["mean"] for row in printed}
    simulated = {name: value for (data, name), value in found.items() if data == "drawn from the model"}
    assert {"annealed, lower bound", "annealed, upper bound", "upper - lower"} <= set(simulated)
    assert {"approximation gap", "amortisation gap", "log p", "IW-5"} <= {name for data, name in found if "/" in data}
    assert all(np.isfinite(value) for value in found.values())
