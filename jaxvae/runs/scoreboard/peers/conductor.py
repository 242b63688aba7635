"""This library's side of a peer: gives it the data and the budget, and scores what comes back as it scores all rows."""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from jaxvae.evaluation.latents.codes import linear_path
from jaxvae.evaluation.scoreboard.draws import score_draws, strip_of
from jaxvae.evaluation.scoreboard.judged import Judged, as_pictures
from jaxvae.evaluation.scoreboard.paths import path_scores
from jaxvae.evaluation.scoreboard.records import Cell, Standing, cell
from jaxvae.evaluation.scoreboard.scoring import PAIRS, PROBED, STEPS, findings, path_cells, probe_cell
from jaxvae.evaluation.statistics import mean_and_error
from jaxvae.runs.configs.config import Config
from jaxvae.runs.scoreboard.contenders import contenders_of
from jaxvae.runs.scoreboard.kept import kept_row
from jaxvae.runs.scoreboard.ready import Rules

# Name of a worker beside this file -> (whose it is, what it needs).
PEERS = {
    "pythae_vae": ("pythae's VAE", "pythae torch"),
    "flax_vae": ("the VAE of Flax's examples", "flax optax"),
    "artifex_vae": ("artifex's VAE", "avitai-artifex tfp-nightly"),
}
HERE = Path(__file__).parent
GREY = "a sigmoid on grey pixels is no probability of their levels"
Found = dict[str, np.ndarray]


def peer_rows(
    python: str, rules: Rules, judged: Judged, raw: np.ndarray, folder: Path, say: Callable[[str], None]
) -> list[Standing]:
    """A row of each of `PEERS`; one whose library that interpreter does not have says so.

    Args:
        python: path of an interpreter.
        rules, judged: of the board.
        raw: uint8 [N, H, W, C], all training images; black and white are drawn from them anew in training.
        folder: of the board; a peer's row lies in folder/name.
        say: is given a line for each thing worth saying.
    """
    rows = []
    for name, (whose, needs) in PEERS.items():
        say(f"{name}: {whose} in {python}, {rules.seconds:g} s of processor time")
        parts = [(HERE / file).read_bytes() for file in (f"{name}.py", "worker.py")]
        key = json.dumps([python, rules._replace(progress=True), judged.setting], default=str).encode()
        digest = hashlib.sha256(b"".join((key, *parts))).hexdigest()

        def make(row: Standing, name: str = name, needs: str = needs) -> Standing:
            return _scored(row, _run(python, name, needs, _given(rules, judged, raw), rules.seconds), judged)

        rows.append(kept_row(Standing(name, "peer", whose), folder / name, digest, make, say))
    return rows


def _given(rules: Rules, judged: Judged, raw: np.ndarray) -> Found:
    """What worker.py reads: pictures on [0, 1], and codes along straight lines between draws of the prior."""
    binary = judged.levels == 2
    latent_dim = (contenders_of(rules.data)["vae"].config or Config()).model.latent_dim
    ends = np.random.default_rng(rules.seed).standard_normal((2, PAIRS, latent_dim)).astype(np.float32)
    codes = jax.vmap(lambda a, b: linear_path(a, b, STEPS + 1))(*ends)
    whole = {"probed": judged.train[:PROBED], "test": judged.test, "scored": judged.scored}
    numbers = {"seed": rules.seed, "seconds": rules.seconds, "latent_dim": latent_dim, "binary": binary}
    return {
        "train": raw.astype(np.float32) / 255 if binary else as_pictures(judged.train, judged.levels),
        "codes": np.asarray(codes).reshape(-1, latent_dim),
        **{name: as_pictures(x, judged.levels) for name, x in whole.items()},
        **{name: np.asarray(value) for name, value in numbers.items()},
        "draws": np.asarray(judged.draws),
        "samples": np.asarray(judged.samples),
    }


def _run(python: str, name: str, needs: str, given: Found, seconds: float) -> Found:
    """What the worker found.

    Raises:
        ValueError: for a worker that failed, with its last words.
    """
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch, "given.npz"), Path(scratch, "found.npz")
        np.savez(files[0], allow_pickle=False, **given)
        command = [python, str(HERE / "worker.py"), name, *map(str, files)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=600 + 20 * seconds)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ValueError(f"{python} did not run it: {error}.") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            hint = f" Install it there: {python} -m pip install {needs}." if "ModuleNotFoundError" in last else ""
            raise ValueError(f"it does not run in {python}: {last}.{hint}")
        with np.load(files[1], allow_pickle=False) as file:
            return {key: file[key] for key in file.files}


def _scored(row: Standing, found: Found, judged: Judged) -> Standing:
    x = np.rint(found["draws"] * np.float32(judged.levels - 1)).astype(np.float32)
    cells = score_draws(x, judged) | probe_cell(found["train_codes"], found["test_codes"], judged)
    cells |= path_cells(path_scores(found["ways"].reshape(PAIRS, STEPS + 1, -1)))
    if "log_p" in found:
        setting = f"importance bound of {judged.samples} samples by its own networks, {len(found['log_p'])} examples"
        pixels = np.log(2) * np.prod(judged.test.shape[1:])
        for name, scale in (("nats", 1.0), ("bits", pixels)):
            cells[name] = cell(mean_and_error(-found["log_p"] / scale), setting, "importance bound")
    else:
        cells |= {name: Cell(None, evidence="none", setting=GREY) for name in ("nats", "bits")}
    for name in ("one", "many"):
        cells[name] = cell(mean_and_error(found[f"rates_{name}"]), "a second of processor time of its own process")
    cells["minutes"] = Cell(float(found["seconds"]) / 60, setting=f"{found['steps']} steps, without the first")
    cells["parameters"] = Cell(float(found["numbers"]), setting="of encoder and decoder")
    whole = (
        f"its process took {float(found['megabytes']):,.0f} MB at its peak, libraries and all: no number of this column"
    )
    cells["memory"] = Cell(None, setting=whole)
    draws = strip_of(x, judged.levels)
    return row._replace(about=str(found["about"]), columns=cells, notes=findings(cells), draws=draws)
