"""Every kind of model trains on two devices as on one, and from convolutions: labels and critics included."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from test_every_kind import tiny

from jaxvae.runs.builders.from_config import build_model, build_training
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.examples import blank_example
from jaxvae.runs.held_out import load_run_data
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import init_state

pytestmark = pytest.mark.quick_compile

CONVOLVED = [name for name, kind in KINDS.items() if "model.network" not in kind.ignores]


def two_steps(config, mode):
    """The parameters after the two steps of the first epoch, and the losses, as a run of the config takes them."""
    config, images, examples, *_ = load_run_data(validate(config))
    model = build_model(
        config.model, images.shape[1:], images, classes=config.data.classes, protocol=config.data.protocol
    )
    parts = build_training(config, model, steps_per_epoch=2)
    state = init_state(model, parts.optimizer, jax.random.key(config.seed), blank_example(model))
    compiled = compile_steps(*parts, batch_size=config.batch_size, steps_per_call=2, mode=mode)
    (report,) = train(compiled, state, examples, 2)
    return jax.device_get(report.state.params), report.metrics["loss"]


@pytest.mark.slow
@pytest.mark.rows(full=[name for name in KINDS if name not in ("conditional", "semi_supervised", "factor", "gan")])
@pytest.mark.parametrize("kind", KINDS)
def test_two_devices_give_what_one_gives(kind):
    params, losses = two_steps(tiny(kind), "jit")
    assert np.isfinite(losses).all()
    for mode in ("pmap", "mesh"):
        found, again = two_steps(tiny(kind), mode)
        np.testing.assert_allclose(again, losses, rtol=1e-5)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), found, params)


@pytest.mark.slow
@pytest.mark.rows(full=[name for name in CONVOLVED if name not in ("conditional", "factor")])
@pytest.mark.parametrize("kind", CONVOLVED)
def test_it_trains_from_convolutions(kind):
    config = tiny(kind)
    params, losses = two_steps(
        replace(config, model=replace(config.model, network="conv", features=(3,), dense=8)), "jit"
    )
    assert np.isfinite(losses).all()
    assert {leaf.ndim for leaf in jax.tree.leaves(params)} >= {4}
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
