"""Other libraries on a board: what their workers compute, and what a peer that does not run says."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from jaxvae.commands.scoreboard import ScoreboardOptions, main
from jaxvae.evaluation.measured import Setting
from jaxvae.evaluation.samples import pixel_features
from jaxvae.evaluation.scoreboard import Judged
from jaxvae.runs.scoreboard.peers import conductor, worker
from jaxvae.runs.scoreboard.ready import Rules

SIGMOID = SimpleNamespace(
    encode=lambda x: (np.full((len(x), 1), 0.3), np.full((len(x), 1), 0.9)),
    decode=lambda z: 1 / (1 + np.exp(-z.reshape(-1, 1, 1, 1))),
)


def judged_of(levels, count=300):
    rng = np.random.default_rng(0)
    x = rng.integers(0, levels, size=(2 * count, 4, 4, 1)).astype(np.float32)
    labels = rng.integers(0, 2, size=2 * count)
    setting = Setting("noise", count, 40, "none", 0, "c0ffee")
    return Judged(
        x[:count], x[count:], labels[:count], labels[count:], levels, pixel_features(), setting, samples=5, draws=60
    )  # fmt: skip


def test_the_bound_of_a_worker_is_log_p_where_that_is_known():
    """E sigmoid(z) = 1/2 by symmetry, under any proposal; of two equal pixels E sigmoid(z)^2 by quadrature."""
    rng = np.random.default_rng(0)
    found = worker.importance_bound(SIGMOID, np.array([[[[1.0]]], [[[0.0]]]]), 20_000, rng)
    np.testing.assert_allclose(found, math.log(0.5), atol=0.02)
    twice = SimpleNamespace(encode=SIGMOID.encode, decode=lambda z: np.repeat(SIGMOID.decode(z), 2, 1))
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    exact = np.log(weights @ (1 / (1 + np.exp(-nodes))) ** 2 / math.sqrt(2 * math.pi))
    found = worker.importance_bound(twice, np.ones((1, 2, 1, 1)), 20_000, rng)
    np.testing.assert_allclose(found, exact, atol=0.02)


def test_a_worker_trains_for_its_budget_on_fresh_draws_of_black_and_white_and_draws_as_many_as_asked():
    seen = []
    peer = SimpleNamespace(step=seen.append, decode=lambda z: np.full((len(z), 2, 2, 1), 0.25, np.float32))
    rng = np.random.default_rng(0)
    seconds, steps = worker.fit(peer, np.full((300, 2, 2, 1), 0.25, np.float32), True, 0.02, rng)
    assert seconds >= 0.02
    assert len(seen) == steps + 1
    pixels = np.stack(seen)
    assert set(np.unique(pixels)) == {0.0, 1.0}
    assert abs(pixels.mean() - 0.25) < 5 * math.sqrt(0.1875 / pixels.size)
    draws, rates = worker.sample(peer, 30, 2, False, rng)
    assert draws.shape == (30, 2, 2, 1)
    assert draws.max() == 0.25
    assert [len(rates[name]) for name in ("rates_one", "rates_many")] == [5, 5]


def test_a_peer_that_does_not_import_is_a_row_that_says_how_to_mend_it(tmp_path):
    python, said = tmp_path / "python", []
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'theirs'\" >&2\nexit 1\n")
    python.chmod(0o755)
    judged = judged_of(2)
    raw = np.uint8(255 * judged.train)
    rows = conductor.peer_rows(str(python), Rules("mnist", 1.0), judged, raw, tmp_path, said.append)
    assert [row.name for row in rows] == ["pythae_vae", "flax_vae", "artifex_vae"]
    assert "No module named 'theirs'. Install it there: " in rows[0].failed
    assert "-m pip install pythae torch." in rows[0].failed
    assert not rows[0].columns
    assert not (tmp_path / "pythae_vae" / "row.json").exists()
    with pytest.raises(FileNotFoundError, match=r"there is no program .*nowhere, expected --python-peers"):
        main(ScoreboardOptions(python_peers=f"{tmp_path}/nowhere"))


@pytest.mark.slow
@pytest.mark.parametrize("levels", [2, 17])
def test_a_peer_in_this_very_interpreter_has_a_row_of_the_boards_numbers(levels, tmp_path, monkeypatch):
    monkeypatch.setattr(conductor, "PEERS", {"flax_vae": conductor.PEERS["flax_vae"]})
    judged, rules = judged_of(levels), Rules("mnist" if levels == 2 else "digits", 0.3)
    raw = np.uint8(judged.train * (255 // (levels - 1)))
    (row,) = conductor.peer_rows(sys.executable, rules, judged, raw, tmp_path, lambda line: None)
    assert row.failed == ""
    assert row.about.startswith("the VAE of Flax's examples (flax ")
    assert row.draws.shape == (16, 4, 4, 1)
    assert 0.3 / 60 <= row.columns["minutes"].value < 3 / 60
    assert row.columns["path"].value >= 1
    assert row.columns["parameters"].value == 2 * 500 * 16 + 500 + 16 + (3 * 500 + 2) * (16 if levels > 2 else 20) + 500
    assert row.columns["memory"].value is None
    if levels == 2:  # 16 fair coins; a VAE of noise cannot do better on fresh noise
        nats = row.columns["nats"]
        assert nats.evidence == "importance bound"
        assert 16 * math.log(2) - 4 * nats.standard_error < nats.value < 20
    else:
        assert row.columns["nats"].value is None
    (again,) = conductor.peer_rows("nowhere", rules, judged, raw, tmp_path, lambda line: None)
    assert again.failed  # another interpreter is another row
    (kept,) = conductor.peer_rows(sys.executable, rules, judged, raw, tmp_path, lambda line: None)
    assert kept.columns == row.columns
