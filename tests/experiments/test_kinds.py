"""Commands on a run of a model that they cannot look into: one line, a command that can, and nothing measured first."""

import importlib
import sys
import warnings
from dataclasses import replace

import jax
import numpy as np
import pytest
from small import Linear, images

import jaxvae
from jaxvae.commands.cli import parser
from jaxvae.commands.parts.launch import launch
from jaxvae.evaluation import latents
from jaxvae.evaluation.latents import generation
from jaxvae.runs.builders.from_config import build_model
from jaxvae.runs.configs.presets import PRESETS

pytestmark = pytest.mark.quick_compile

SHAPE = (4, 4, 1)
LOOKING = {
    "manifold": ("ManifoldOptions", "quantiles for a grid", "plane of two"),
    "traverse": ("TraverseOptions", "range of a latent", "single one to move"),
    "animate_traversal": ("AnimateTraversalOptions", "range of a latent", "single one to move"),
    "sample": ("SampleOptions", "nothing to draw codes from", None),
    "codes": ("CodesOptions", None, "no one code"),
    "disentangle": ("DisentangleOptions", None, "no latents that each"),
    "attributes": ("AttributesOptions", None, "no one direction"),
}


@pytest.mark.rows(every=3)
@pytest.mark.parametrize("kind", ["autoencoder", "hierarchical", "ladder"])
@pytest.mark.parametrize("command", LOOKING)
def test_a_command_that_cannot_says_so_in_a_line_and_names_one_that_can(command, kind, monkeypatch, capsys):
    options, without_prior, in_groups = LOOKING[command]
    words = without_prior if kind == "autoencoder" else in_groups
    if words is None:
        return  # this command works
    config = replace(PRESETS["digits"], model=replace(PRESETS["digits"].model, kind=kind))
    model = build_model(config.model, (8, 8, 1))
    params = jax.eval_shape(model.init, jax.random.key(0), np.zeros((8, 8, 1), np.float32))
    monkeypatch.setattr(jaxvae, "load", lambda run, **options: jaxvae.runs.Run(model, params, config), raising=False)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # which a launch replaces
    monkeypatch.setattr(sys, "argv", [command, "runs/a"])
    module = importlib.import_module(f"experiments.{command}")
    with pytest.raises(SystemExit) as caught:
        launch(module.main, parser(getattr(module, options)))
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in ("error: runs/a is", words, "expected a model with", "Try jaxvae interpolate runs/a"):
        assert word in error


@pytest.mark.slow
def test_latents_in_groups_are_interpolated_group_by_group():
    model = jaxvae.hierarchical_vae(
        [jaxvae.MLPEncoder(2, (6,)), jaxvae.MLPEncoder(3, (6,))],
        [jaxvae.networks.MLPLevel(2, (6,))],
        Linear(16, SHAPE),
        event_shape=SHAPE,
        latent_dims=(2, 3),
    )
    x = (images(6) > 100).astype(np.float32)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    for path in (latents.linear_path, latents.spherical_path):
        rows = generation.interpolate(model, params, x[:3], x[3:], 5, path=path)
        assert rows.shape == (3, 5, *SHAPE)
        np.testing.assert_allclose(rows[:, 0], generation.reconstructions(model, params, x[:3]), atol=1e-5)
        np.testing.assert_allclose(rows[:, -1], generation.reconstructions(model, params, x[3:]), atol=1e-5)
    ends = [latents.posterior_means(model, params, part) for part in (x[:3], x[3:])]
    half = jax.tree.map(lambda a, b: (a + b) / 2, *ends)
    middle = generation.interpolate(model, params, x[:3], x[3:], 3)[:, 1]
    np.testing.assert_allclose(middle, generation.decode(model, params, half), atol=1e-5)
