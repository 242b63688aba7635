"""What None means in a config: the usual number of a kind, which a run writes out when it begins."""

import json

import jax
import numpy as np
import pytest
from small import moved

from jaxvae.runs.builders.from_config import build_model, build_recipe
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.choices.usual import settled
from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig, OptimConfig
from jaxvae.runs.configs.serialize import changed_numbers, from_json, to_json
from jaxvae.runs.folder.saved_config import changes_since, to_metadata, unsaid
from jaxvae.runs.train import train_run

TINY = Config(
    data=DataConfig(name="digits"),
    model=ModelConfig("sparse", hidden=(4,), latent_dim=2),
    batch_size=700,
    epochs=1,
    test_samples=1,
    progress=False,
)


@pytest.mark.parametrize(
    ("model", "weight"),
    [
        (ModelConfig("semi_supervised", labelled=0.5), 0.2),
        (ModelConfig("gan"), 0.1),
        (ModelConfig("gan", network="resnet"), 1.0),
        (ModelConfig("progressive_gan", features=(4, 4)), 1.0),
        (ModelConfig("gan", network="resnet", game="wasserstein"), 10.0),
        (ModelConfig("gan", weight=0.3), 0.3),
        (ModelConfig("adversarial"), 5.0),
        (ModelConfig("vae"), None),
    ],
)
def test_the_usual_number_stands_where_nobody_says_another(model, weight):
    assert settled(Config(model=model)).model.weight == weight


def test_what_is_optional_is_written_out_by_the_kinds_that_read_it():
    for name, kind in KINDS.items():
        found = settled(Config(model=ModelConfig(name)))
        assert (found.model.weight is None) == ("model.weight" not in kind.reads)
        assert (found.model.critic_hidden is None) == ("model.critic_hidden" not in kind.reads)
        assert settled(found) == found
    assert settled(Config(optim=OptimConfig(name="sgd"))).optim.b1 is None


def test_a_config_of_none_trains_with_the_usual_weight():
    """The L1 norm of the code is added once, three times, and as often as nobody says."""
    x, keys = np.full((2, 2, 2, 1), 0.5, np.float32), jax.random.split(jax.random.key(1), 2)

    def loss(weight):
        model = ModelConfig("sparse", hidden=(2,), latent_dim=2, weight=weight)
        made = build_recipe(Config(model=model), build_model(model, (2, 2, 1)), 1)
        params = moved(jax.jit(made.model.init)(jax.random.key(0), x[0]), 0.3)
        return float(jax.jit(made.loss)(params, keys, x, 0)[0])

    assert loss(None) == loss(1.0) < loss(3.0)


def test_a_usual_number_makes_another_run_unless_an_earlier_version_left_it_out():
    old = settled(Config(model=ModelConfig("vq")))
    new = settled(Config(model=ModelConfig("vq", weight=0.5)))
    assert changed_numbers(old, new) == [("model.weight", 0.25, 0.5)]
    earlier = Config(model=ModelConfig("vq"))
    assert changed_numbers(earlier, old) == []
    assert len(unsaid(earlier, old)) == 2
    assert changed_numbers(earlier, new) == [("model.weight", None, 0.5)]
    assert [line.partition(". ")[0] for line in unsaid(earlier, new)] == [
        "An earlier version wrote this run without optim.b1"
    ]
    assert unsaid(old, new) == []


def test_a_run_of_an_earlier_version_keeps_the_critic_that_it_wrote_and_one_without_a_critic_goes_on():
    for kind, usual in (("gan", (128,)), ("vae_gan", (1024,)), ("vae", None)):
        new = settled(Config(model=ModelConfig(kind)))
        assert new.model.critic_hidden == usual
        written = json.loads(to_json(new))
        written["model"]["critic_hidden"] = [128]  # as every kind wrote it
        old = from_json(json.dumps(written))
        changed = [("model.critic_hidden", (128,), usual)] if kind == "vae_gan" else []
        assert changed_numbers(old, new) == changed
        kept = to_metadata(new)
        kept["config"]["model"]["critic_hidden"] = [128]  # in a checkpoint, which says no version
        assert changes_since(kept, new) == changed


@pytest.mark.slow
def test_another_usual_number_in_a_later_version_is_refused_and_an_earlier_run_without_one_is_told(
    tmp_path, monkeypatch
):
    lines: list[str] = []
    train_run(TINY, tmp_path, say=lines.append)
    file = tmp_path / "config.json"
    kept = json.loads(file.read_text())
    assert (kept["model"]["weight"], kept["optim"]["b1"]) == (1.0, 0.9)
    monkeypatch.setitem(KINDS, "sparse", KINDS["sparse"]._replace(usual={"model.weight": 3.0}))
    with pytest.raises(
        ValueError, match=r"model.weight: 1.0 in the folder, 3.0 now[^$]*go on with that run: --model.weight 1.0"
    ):
        train_run(TINY, tmp_path)
    monkeypatch.undo()
    assert not any("earlier version" in line for line in lines)
    kept["model"]["weight"] = kept["optim"]["b1"] = None
    file.write_text(json.dumps(kept))
    train_run(TINY, tmp_path, say=lines.append)
    said = [line for line in lines if "earlier version" in line]
    assert said[0].startswith("An earlier version wrote this run without model.weight. It goes on with 1.0,")
    assert said[1].startswith("An earlier version wrote this run without optim.b1. It goes on with 0.9,")
