"""Where one word is missing, the message says which; what can be known without it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxvae
from experiments.studies.anomaly_models import AnomalyOptions
from jaxvae.commands.cli import parse_options
from jaxvae.runs.folder import run_folder
from jaxvae.training.engine.parallel import compile_steps

pytestmark = pytest.mark.quick_compile


class Module(nnx.Module):
    def __call__(self, x):
        return x


def test_an_nnx_module_is_told_the_way_in():
    decoder = jaxvae.MLPDecoder((4, 1))
    with pytest.raises(TypeError, match=r"from_nnx\(lambda rngs: YourModule\(rngs=rngs\)\)"):
        jaxvae.vae(Module(), decoder, event_shape=(4, 1), latent_dim=2)
    with pytest.raises(TypeError) as caught:
        jaxvae.vae(object(), decoder, event_shape=(4, 1), latent_dim=2)
    assert "nnx" not in str(caught.value)


def test_convolutions_see_an_image_and_its_context_without_being_told():
    x, label = jnp.zeros((8, 8, 1)), jnp.ones(3)
    conv = jaxvae.networks.with_context(jaxvae.ConvEncoder(2, features=(2,), dense=4))
    assert conv.channels
    variables = conv.init(jax.random.key(0), x, label)
    kernels = [leaf.shape for leaf in jax.tree.leaves(variables) if leaf.ndim == 4]
    assert kernels[0][2] == 1 + 3
    assert not jaxvae.networks.with_context(jaxvae.MLPEncoder(2)).channels


def test_a_table_under_the_likelihood_of_pixels_is_told_another():
    model = jaxvae.vae(jaxvae.MLPEncoder(2), jaxvae.MLPDecoder((5,)), event_shape=(5,), latent_dim=2)
    rows = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    with pytest.raises(ValueError, match=r"observation=jaxvae\.normal\('learned'\)"):
        jaxvae.fit(model, rows, progress=False)
    jaxvae.normal("learned")  # is what it says


def test_a_batch_that_devices_cannot_share_is_told_the_option():
    with pytest.raises(ValueError, match=r"mode 'jit' \(--parallel jit\)"):
        compile_steps(None, None, None, batch_size=9, steps_per_call=1, mode="pmap")


def test_a_run_that_is_only_read_may_lie_above_this_folder(tmp_path, monkeypatch):
    (tmp_path / "runs" / "b").mkdir(parents=True)
    (tmp_path / "runs" / "b" / "config.json").write_text("{}")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run_folder.find("../runs/b").resolve() == tmp_path / "runs" / "b"
    with pytest.raises(FileNotFoundError, match=r"Did you mean \.\./runs/b\?"):
        run_folder.find("../runs/bb")
    with pytest.raises(ValueError, match=r"'\.\.'"):
        run_folder.create("../runs/c")


def test_what_is_on_of_itself_is_shown_with_both_its_names(capsys):
    with pytest.raises(SystemExit):
        parse_options(AnomalyOptions, ["--help"])
    assert "--feedback, --no-feedback" in capsys.readouterr().out
    assert parse_options(AnomalyOptions, ["--no-feedback"]).feedback is False
