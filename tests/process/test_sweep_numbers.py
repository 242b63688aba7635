"""Numbers of the model as an axis of a sweep: each member is the run that it would be alone, in one program for all."""

import itertools
from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxvae
from jaxvae.runs import train
from jaxvae.runs.builders.assembled import assemble
from jaxvae.runs.configs.config import Config, ModelConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.sweeps.grid import members_of
from jaxvae.runs.sweeps.program import MODEL, candidates, compiled_together, numbers_of, program_of
from jaxvae.runs.sweeps.seats import seats_of
from jaxvae.runs.sweeps.sweeping import sweep

pytestmark = pytest.mark.quick_compile
TINY = replace(PRESETS["digits"], epochs=2, batch_size=500, evaluate_every=2, progress=False)
NOT_AN_AXIS = ("block_dropout", "dropout", "labelled", "noise_start", "noise_stop")


def digits(protocol="dynamic", **model):
    sizes = {"hidden": (6,), "latent_dim": 2, "likelihood": "bernoulli"}
    return replace(TINY, data=replace(TINY.data, protocol=protocol), model=ModelConfig(**{**sizes, **model}))


def same(one, other, tolerance=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=tolerance, rtol=tolerance), one, other)


def test_each_number_of_a_model_is_an_axis_or_has_a_reason_not_to_be():
    floats = [field.name for field in fields(ModelConfig) if "float" in str(field.type)]
    assert sorted(floats) == sorted([*NOT_AN_AXIS, *(path.removeprefix("model.") for path in MODEL)])
    members = members_of(digits("grey", likelihood="normal"), {"model.std": (0.1, 0.2), "model.latent_dim": (2, 3)})
    assert candidates(members) == ("model.std",)
    assert candidates(members_of(digits(kind="vq"), {"model.weight": (None, 1.0)})) == ()  # None is no number


ROWS = {
    "rae": {"model.weight": (0.5, 2.0), "model.decoder_weight": (0.1, 3.0)},
    "gan": {"model.weight": (0.5, 20.0), "model.critic_rate": (0.3, 1.0)},
    "categorical": {"model.temperature": (0.5, 2.0)},
    "denoising": {"model.noise": (0.1, 0.6)},
    "factor": {"model.weight": (1.0, 50.0)},
    "semi_supervised": {"model.weight": (0.5, 50.0)},
    "sparse": {"model.weight": (0.5, 50.0)},
    "vae_gan": {"model.weight": (0.5, 50.0)},
    "vq": {"model.weight": (0.1, 4.0)},
    "wasserstein": {"model.weight": (1.0, 500.0)},
}


@pytest.mark.slow
@pytest.mark.rows(full=[kind for kind in ROWS if kind != "sparse"])
@pytest.mark.parametrize("kind", ROWS)
def test_steps_of_members_are_those_of_programs_that_know_the_numbers(kind, tmp_path):
    grid = ROWS[kind]
    first, *_, last = members_of(digits(kind=kind), grid)  # all numbers low, and all high
    members = [first, last]
    work = assemble(members[0].config, None)
    states = [seat.state for seat in seats_of(work, members, tmp_path, lambda line: None)]
    count, images = jnp.int32(3), work.data.examples
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    together, _ = compiled_together(work)(numbers_of(work, members, tuple(grid)), stacked, images, count)
    ends = []
    for index, (member, state) in enumerate(zip(members, states, strict=True)):
        own = assemble(member.config, None)
        alone, _ = jax.jit(program_of(own))({}, state, own.data.examples, count)
        same(jax.tree.map(lambda leaf, at=index: leaf[at], together.params), alone.params)
        ends.append(alone.params)
    moved = [np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, ends), strict=True)]
    assert max(moved) > 1e-4  # the numbers change something


@pytest.mark.full
def test_a_width_and_a_warm_up_train_and_measure_as_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)
    config, lines = digits("grey", likelihood="normal", scale="per_pixel"), []
    config = replace(config, objective=replace(config.objective, beta=100.0))
    grid = {"model.std": (0.2, 0.7), "objective.warmup_epochs": (0.0, 0.5)}
    done = sweep(config, grid, tmp_path / "a", say=lines.append)
    assert [line for line in lines if "program" in line] == [
        "4 members in one program: std=0.2,warmup_epochs=0 to std=0.7,warmup_epochs=0.5."
    ]
    ends = [jaxvae.load(done.folder, member=member.name).params for member in done.members]
    alone = train.train_run(done.members[3].config, tmp_path / "alone", say=lambda line: None)
    same(ends[3], alone.params)
    found = jaxvae.runs.loading.load(done.folder, member=done.members[3].name).config
    assert (found.model.std, found.objective.warmup_epochs) == (0.7, 0.5)
    for one, other in itertools.combinations(ends, 2):
        assert max(jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).max(), one, other))) > 1e-4


def test_a_warm_up_of_members_has_the_whole_steps_of_a_run_alone():
    work = assemble(digits(), None)._replace(per_epoch=7)
    members = members_of(Config(), {"objective.warmup_epochs": (0.0, 0.1, 0.5, 1.5)})
    steps = numbers_of(work, members, ("objective.warmup_epochs",))["objective.warmup_epochs"] * np.float32(7)
    assert np.round(steps).tolist() == [round(m.config.objective.warmup_epochs * 7) for m in members]
    weight = jax.jit(lambda n, step: jaxvae.training.kl_warmup(n, 3.0)(step))
    assert [float(weight(n, 2)) for n in (0.0, 1.0, 4.0)] == [3.0, 3.0, 1.5]
