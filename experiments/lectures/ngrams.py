"""Characters told the few before them, by counting: an n-gram model with Witten-Bell smoothing.

    p_n(c | h) = (count(h c) + T(h) p_{n-1}(c | h')) / (count(h) + T(h))

T(h) is how many different characters followed h, h' is h without its first character, and p_0 is uniform.

Source: Witten and Bell, 1991, The zero-frequency problem, IEEE Transactions on Information Theory 37.
"""

from typing import NamedTuple

import numpy as np


class Counts(NamedTuple):
    """What followed each history of n - 1 characters, for n = 1 .. order; `symbols` are 0 .. symbols - 1."""

    symbols: int
    after: tuple[dict[bytes, np.ndarray], ...]


def count(tokens: np.ndarray, order: int, symbols: int) -> Counts:
    """Counts every history up to order - 1 characters long.

    Args:
        tokens: integers [N] below 256.
        order: n of the longest n-grams.
        symbols: how many there are.
    """
    text, after = tokens.astype(np.uint8).tobytes(), []
    for length in range(order):
        found: dict[bytes, np.ndarray] = {}
        for at in range(length, len(text)):
            history = text[at - length : at]
            row = found.get(history)
            if row is None:
                row = found[history] = np.zeros(symbols, np.int32)
            row[text[at]] += 1
        after.append(found)
    return Counts(symbols, tuple(after))


def probabilities(counts: Counts, history: bytes) -> np.ndarray:
    """p(c | history) of every symbol, which sum to one."""
    p = np.full(counts.symbols, 1.0 / counts.symbols)
    for length, found in enumerate(counts.after[: len(history) + 1]):
        row = found.get(history[len(history) - length :])
        if row is None:  # never seen, and so nothing longer was
            break
        kinds = np.count_nonzero(row)
        p = (row + kinds * p) / (row.sum() + kinds)
    return p


def nats(counts: Counts, tokens: np.ndarray) -> np.ndarray:
    """-log p of each character [N], told those before it in `tokens`."""
    text, longest = tokens.astype(np.uint8).tobytes(), len(counts.after) - 1
    return np.array([-np.log(probabilities(counts, text[max(0, i - longest) : i])[text[i]]) for i in range(len(text))])


def draw(counts: Counts, length: int, seed: int) -> np.ndarray:
    """A text of that length, character by character."""
    rng, longest, text = np.random.default_rng(seed), len(counts.after) - 1, b""
    for _ in range(length):
        history = text[len(text) - longest :] if longest and len(text) >= longest else text if longest else b""
        text += bytes([rng.choice(counts.symbols, p=probabilities(counts, history))])
    return np.frombuffer(text, np.uint8)
