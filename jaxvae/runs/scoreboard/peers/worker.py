"""One peer in its own interpreter: PYTHON worker.py NAME GIVEN.npz FOUND.npz; NumPy and the peer's library alone.

A peer is a module beside this one with make(shape, latent_dim, seed) -> an object with

    step(x)      trains on a batch [B, ...] on [0, 1]        encode(x) -> (mean [N, Z], standard deviation [N, Z])
    decode(z)    -> E[x | z] on [0, 1], [N, ...]             numbers, about   how many it trains, and whose it is
"""

import importlib
import resource
import sys
import time
from typing import Any

import numpy as np

BATCH, TURNS, ROWS = 128, 5, 500
TINY = 1e-6  # nearer to 0 and 1 no probability is scored, or one pixel of a sigmoid in float32 is infinitely wrong


def main() -> None:
    """Trains, draws, encodes and decodes what is asked."""
    name, given_path, found_path = sys.argv[1:]
    peers = importlib.import_module(name)
    with np.load(given_path, allow_pickle=False) as file:
        given = {key: file[key] for key in file.files}
    rng = np.random.default_rng(int(given["seed"]))
    train, binary = given["train"], bool(given["binary"])
    peer = peers.make(train.shape[1:], int(given["latent_dim"]), int(given["seed"]))
    seconds, steps = fit(peer, train, binary, float(given["seconds"]), rng)
    draws, rates = sample(peer, int(given["draws"]), int(given["latent_dim"]), binary, rng)
    found: dict[str, Any] = {"seconds": seconds, "steps": steps, "draws": draws, **rates}
    found["train_codes"] = in_rows(lambda x: peer.encode(x)[0], given["probed"])
    found["test_codes"] = in_rows(lambda x: peer.encode(x)[0], given["test"])
    found["ways"] = in_rows(peer.decode, given["codes"])
    if binary:
        found["log_p"] = in_rows(lambda x: importance_bound(peer, x, int(given["samples"]), rng), given["scored"])
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    np.savez(found_path, **found, numbers=peer.numbers, about=peer.about, megabytes=kilobytes * 1024 / 1e6)


def fit(peer: Any, train: np.ndarray, binary: bool, seconds: float, rng: np.random.Generator) -> tuple[float, int]:
    """Trains for so much processor time, epoch after epoch; the first step, which may compile, is not counted."""
    start, steps = None, 0
    while True:
        order = rng.permutation(len(train))
        for first in range(0, max(1, len(train) - BATCH + 1), BATCH):
            x = train[order[first : first + BATCH]]
            peer.step((rng.random(x.shape) < x).astype(np.float32) if binary else x)
            if start is None:
                start = time.process_time()
                continue
            steps += 1
            if (spent := time.process_time() - start) >= seconds:
                return spent, steps


def sample(
    peer: Any, count: int, latent_dim: int, binary: bool, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draws on [0, 1], and how many come in a second, one by one and 100 at a time: as the board draws its own."""

    def draw(n: int) -> np.ndarray:
        mean = peer.decode(rng.standard_normal((n, latent_dim)).astype(np.float32))
        return (rng.random(mean.shape) < mean).astype(np.float32) if binary else mean

    rates, drawn = {}, []
    for name, whole in (("one", 1), ("many", -(-count // TURNS))):
        batch, found = min(whole, 100), []
        draw(batch)  # compiles
        for _ in range(TURNS):
            start = time.process_time()
            drawn += [draw(batch) for _ in range(-(-whole // batch))]
            found.append(-(-whole // batch) * batch / max(time.process_time() - start, 1e-9))
        rates[f"rates_{name}"] = np.array(found)
    return np.concatenate(drawn[TURNS:])[:count], rates


def importance_bound(peer: Any, x: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x) of pixels 0 and 1, [N]."""
    mean, std = (np.asarray(part, np.float64) for part in peer.encode(x))
    weights = []
    for _ in range(samples):
        noise = rng.standard_normal(mean.shape)
        z = mean + std * noise
        p = np.clip(np.asarray(peer.decode(z.astype(np.float32)), np.float64), TINY, 1 - TINY).reshape(len(x), -1)
        flat = x.reshape(len(x), -1)
        log_x = (flat * np.log(p) + (1 - flat) * np.log1p(-p)).sum(1)
        weights.append(log_x + (0.5 * (noise**2 - z**2) + np.log(std)).sum(1))
    log_w = np.stack(weights)
    top = log_w.max(0)
    return top + np.log(np.exp(log_w - top).mean(0))


def in_rows(function: Any, x: np.ndarray) -> np.ndarray:
    """function(x), some rows at a time."""
    return np.concatenate([np.asarray(function(x[i : i + ROWS])) for i in range(0, len(x), ROWS)])


if __name__ == "__main__":
    main()
