"""Recordings as whole numbers 0..255 on a logarithmic scale, and the simplest models of them, in nats a sample.

A sample s in [-1, 1] becomes the level of F(s) = sign(s) log(1 + 255 |s|) / log 256 among 256 bins of equal width on
[-1, 1] (mu-law, ITU-T G.711): fine near silence, coarse where it is loud.
"""

import wave
from typing import Any, NamedTuple

import numpy as np

from jaxvae.files import read_bytes, whole_file

Array = np.ndarray
LEVELS, MU, RATE = 256, 255.0, 8000
EXPECTED = (
    "expected an .npz with int16 samples of all recordings one after another (`samples`, or their bytes `low` and "
    "`high`), their `lengths`, the class of each (`digits`), and whether it is of the test (`test`)"
)


class Sounds(NamedTuple):
    """Recordings of one set.

    Attributes:
        levels: uint8 [N, T], cut or filled up at their ends to T samples.
        lengths: int64 [N] samples that are a recording's own.
        labels: int64 [N].
    """

    levels: Array
    lengths: Array
    labels: Array

    def own(self) -> Array:
        """bool [N, T]: which samples are a recording's own."""
        return np.arange(self.levels.shape[1])[None] < self.lengths[:, None]


def load(path: str, longest: int) -> tuple[Sounds, Sounds]:
    """Training and test recordings of a file, each as loud as its loudest sample allows.

    Raises:
        ValueError: for a file of other arrays, or whose lengths do not add up.
    """
    import io

    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (ValueError, OSError, AttributeError) as error:
        raise ValueError(f"{path} is no .npz file ({error}), {EXPECTED}.") from error
    if "samples" not in found and {"low", "high"} <= found.keys():
        found["samples"] = (found["low"] | found["high"].astype("<u2") << 8).view("<i2")
    missing = [name for name in ("samples", "lengths", "digits", "test") if name not in found]
    if missing or found["lengths"].sum() != len(found["samples"]):
        what = f"has no {', '.join(missing)}" if missing else "has lengths that do not sum to its samples"
        raise ValueError(f"{path} {what}, {EXPECTED}.")
    parts = np.split(found["samples"].astype(np.float64), np.cumsum(found["lengths"])[:-1])
    levels = np.full((len(parts), longest), level_of(np.zeros(1))[0], np.uint8)
    for row, part in zip(levels, parts, strict=True):
        row[: len(part)] = level_of(part / max(np.abs(part).max(), 1.0))[:longest]
    sounds = Sounds(levels, np.minimum(found["lengths"], longest).astype(int), found["digits"].astype(int))
    held = found["test"].astype(bool)
    train, test = (Sounds(*(array[rows] for array in sounds)) for rows in (~held, held))
    return train, test


def level_of(s: Array) -> Array:
    """The level, uint8, of samples in [-1, 1].

    Example:
        >>> level_of(np.array([-1.0, 0.0, 1.0])).tolist()
        [0, 128, 255]
    """
    y = np.sign(s) * np.log1p(MU * np.abs(s)) / np.log1p(MU)
    return np.clip(np.floor((y + 1.0) / 2.0 * LEVELS), 0, LEVELS - 1).astype(np.uint8)


def _sample(y: Array) -> Array:
    return np.sign(y) * np.expm1(np.abs(y) * np.log1p(MU)) / MU


def edges() -> Array:
    """Where the bins end, as samples: float64 [257], the first and the last infinite, since louder is clipped."""
    found = _sample(np.linspace(-1.0, 1.0, LEVELS + 1))
    found[0], found[-1] = -np.inf, np.inf
    return found


def sample_of(levels: Array) -> Array:
    """The middle of each level's bin on the logarithmic scale, as a sample in [-1, 1].

    Example:
        >>> bool((level_of(sample_of(np.arange(256))) == np.arange(256)).all())
        True
    """
    return _sample((np.asarray(levels, np.float64) + 0.5) / LEVELS * 2.0 - 1.0)


def histogram(train: Sounds, test: Sounds) -> Array:
    """-log p [N, T] of each test level by how often it occurs in training, each once more."""
    counts = np.bincount(train.levels[train.own()], minlength=LEVELS) + 1.0
    return -np.log(counts / counts.sum())[test.levels]


def linear_predictor(train: Sounds, test: Sounds, order: int = 16) -> Array:
    """-log p [N, T]: a logistic around a weighted sum of the last samples, as wide as it was wrong lately.

    mean = sum_k a_k s_{i-k} by least squares; width = a + b * the mean absolute error of the last, the older the less
    (by 31/32 each), a and b those of a grid that are best in training. Its mass is that of the level's bin.
    """
    some = Sounds(*(array[:200] for array in train))
    past = _past(sample_of(some.levels), order)
    own = some.own()
    weights = np.linalg.lstsq(past[own], sample_of(some.levels)[own], rcond=None)[0]
    grid = [(a, b) for a in (0.0005, 0.001, 0.002, 0.004) for b in (0.3, 0.45, 0.6, 0.8, 1.1)]
    best = min(grid, key=lambda pair: _scored(some, weights, pair)[own].mean())
    return _scored(test, weights, best)


def _past(s: Array, order: int) -> Array:
    """The last samples before each, [N, T, order], 0 before the first."""
    padded = np.pad(s, ((0, 0), (order, 0)))
    return np.stack([padded[:, order - k : order - k + s.shape[1]] for k in range(1, order + 1)], axis=-1)


def _scored(sounds: Sounds, weights: Array, width: tuple[float, float]) -> Array:
    from scipy.signal import lfilter
    from scipy.special import expit

    s, ends = sample_of(sounds.levels), edges()
    mean = _past(s, len(weights)) @ weights
    wrong = lfilter([0.0, 1 / 32], [1.0, -31 / 32], np.abs(s - mean), axis=1)  # of samples before this one only
    scale = width[0] + width[1] * wrong
    level = sounds.levels.astype(int)  # 255 + 1 is 0 in a byte
    low, high = ((ends[level + step] - mean) / scale for step in (0, 1))
    # A tail of the logistic is taken on its own side of 0, where nothing cancels.
    mass = np.where(low > 0, expit(-low) - expit(-high), expit(high) - expit(low))
    return -np.log(np.maximum(mass, 1e-300))


def write_wave(path: Any, s: Array) -> None:
    """Samples in [-1, 1] as a sound file of 16 bits that any player plays."""
    with whole_file(path) as file, wave.Wave_write(file) as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes((np.clip(s, -1.0, 1.0) * 32767).astype("<i2").tobytes())
