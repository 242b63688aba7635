"""An exported run: two programs that JAX runs without this library, and gives what the model gives."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxvae
from jaxvae.commands import export as command
from jaxvae.commands.cli import parse_options
from jaxvae.evaluation.latents import decode, posterior_means
from jaxvae.models.contexts import Labelled
from jaxvae.runs import exporting
from jaxvae.runs.builders.from_config import build_model
from jaxvae.runs.configs.config import ModelConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.examples import blank_example

# Not compiled quickly: the exported program is compiled as users compile it.
MODELS = {
    "mlp": ModelConfig(hidden=(8,), latent_dim=2, likelihood="discretized_logistic"),
    "conv": ModelConfig(network="conv", features=(4,), dense=8, latent_dim=2),
    "flow posterior": ModelConfig(hidden=(8,), latent_dim=2, posterior="iaf"),
    "groups": ModelConfig(kind="hierarchical", hidden=(8,), latent_dim=2, first_latents=3, upper_hidden=(6,)),
    "autoencoder": ModelConfig(kind="autoencoder", hidden=(8,), latent_dim=2),
    "conditional": ModelConfig(kind="conditional", hidden=(8,), latent_dim=2),
    "semi_supervised": ModelConfig(kind="semi_supervised", hidden=(8,), latent_dim=2),
}
PARTS = ("encoder", "decoder")
ARGUMENTS = {
    "conditional": {"encoder": ["x", "label"], "decoder": ["z", "label"]},
    "semi_supervised": {"encoder": ["x", "label"]},  # the class is a part of its codes
}
ALONE = """
import json, sys
from pathlib import Path
for name in ("jaxvae", "flax", "optax"):
    sys.modules[name] = None  # importing it fails
import numpy as np
from jax import export
folder = Path(sys.argv[1])
about, given = json.loads((folder / "export.json").read_text()), dict(np.load(folder / "given.npz"))
found = {}
for part in ("encoder", "decoder"):
    run = export.deserialize((folder / about[part]["file"]).read_bytes()).call
    for name, value in run(*(given[name] for name in about[part]["arguments"])).items():
        assert list(value.shape) == [len(value), *about[part]["results"][name]["shape"][1:]], name
        assert str(value.dtype) == about[part]["results"][name]["dtype"], name
        found[name] = value
np.savez(folder / "found.npz", **found)
"""


@pytest.mark.rows(every_slow=9)
@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_programs_give_what_the_model_gives_without_this_library(name, tmp_path, monkeypatch, capsys):
    pytest.importorskip("flatbuffers")
    config = replace(PRESETS["digits"], model=MODELS[name], data=replace(PRESETS["digits"].data, protocol="grey"))
    model = build_model(config.model, (8, 8, 1), classes=10)
    params = jax.jit(model.init)(jax.random.key(0), blank_example(model))
    monkeypatch.setattr(exporting, "load", lambda *args, **options: jaxvae.runs.Run(model, params, config))
    command.main(parse_options(command.ExportOptions, ["runs/a", "--output", str(tmp_path)]))
    assert str(tmp_path / "encoder.stablehlo") in capsys.readouterr().out
    x = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
    if config.model.likelihood == "discretized_logistic":
        x = np.floor(256 * x)
    label = None if model.context is None else np.array([3, 0, 9, 3, -1 if model.context.optional else 1], np.int32)
    codes = posterior_means(model, params, x if label is None else Labelled(x, label))
    leaves = jax.tree.leaves(codes)
    z = {"z": leaves[0]} if len(leaves) == 1 else {f"z_{i}": leaf for i, leaf in enumerate(leaves)}
    np.savez(tmp_path / "given.npz", x=x, **z, **({} if label is None else {"label": label}))
    arguments = {part: list(json.loads((tmp_path / "export.json").read_text())[part]["arguments"]) for part in PARTS}
    assert arguments == {"encoder": ["x"], "decoder": [*z]} | ARGUMENTS.get(name, {})
    done = subprocess.run([sys.executable, "-c", ALONE, tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "found.npz", allow_pickle=False) as found:
        for i, leaf in enumerate(leaves):
            mean = found["mean" if len(leaves) == 1 else f"mean_{i}"]
            np.testing.assert_allclose(mean, leaf, rtol=1e-6, atol=1e-6)
        expected = decode(model, params, codes, context=label)
        np.testing.assert_allclose(found["mean of x"], expected, rtol=1e-6, atol=1e-6)
        if name == "mlp":
            expected = jax.vmap(model.posterior.distribution, (None, 0))(params, x).log_var
            np.testing.assert_allclose(found["log_var"], expected, rtol=1e-6, atol=1e-6)


def test_what_the_file_says_x_is_follows_the_protocol_and_flatbuffers_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotImplementedError, match=r"pip install 'jaxvae\[export\]'"):
        exporting.export_run("runs/a", tmp_path / "there")
    assert not (tmp_path / "there").exists()
