"""Two sets of pictures, of which no picture has its twin in the other, and test pictures that do."""

from typing import Any, NamedTuple

OWN = ("digits", "mnist")
CHANGES = ("slanted", "inverted")


class Judged(NamedTuple):
    """What a classifier of a set is trained on, held out, and expected to read in the translations.

    Attributes:
        images, labels: [N, H, W, C] on [0, 1], [N].
        held_out: the same of test pictures.
        expected: [M] of the test pictures that are translated into that set.
    """

    images: Any
    labels: Any
    held_out: tuple[Any, Any]
    expected: Any


class Sets(NamedTuple):
    """Pictures on [0, 1] of the sets "a" and "b".

    Attributes:
        train: {"a": [N, H, W, C], "b": [N, H, W, C]}, no twins.
        test: the same [M, H, W, C], each beside its twin, which nobody is shown.
        judges: {"a": `Judged`, "b": `Judged`} of the sets.
        names: {"a": ..., "b": ...} in words.
    """

    train: dict[str, Any]
    test: dict[str, Any]
    judges: dict[str, Judged]
    names: dict[str, str]


def load_sets(options: Any) -> Sets:
    """The sets that the options name.

    Raises:
        ValueError: for a change or a factor that the data do not have.
    """
    return _of_digits(options) if options.data in OWN else _of_factor(options)


def _of_digits(options: Any) -> Sets:
    """Half of the digits as they are, the other half changed; a classifier of a set reads which digit it is."""
    import numpy as np

    import jaxvae

    if options.change not in CHANGES:
        raise ValueError(f"change is {options.change!r}, expected {' or '.join(CHANGES)} of {options.data}.")
    train, test = (jaxvae.data.load(options.data, split=split) for split in ("train", "test"))
    known, told = np.asarray(train.labels), np.asarray(test.labels)
    half = len(known) // 2
    halves = np.arange(2 * half).reshape(2, half)  # no picture is in both; digits come in no order
    straight, other = (unit(train.images[rows]) for rows in halves)
    data = {"a": straight, "b": changed(other, options.change)}
    x = unit(test.images)
    sets = {"a": x, "b": changed(x, options.change)}
    judges = {
        name: Judged(data[name], known[rows], (sets[name], told), told) for name, rows in zip("ab", halves, strict=True)
    }
    return Sets(data, sets, judges, {"a": "straight", "b": options.change})


def _of_factor(options: Any) -> Sets:
    """Pictures of one value of a factor and of another, all else alike; a classifier reads which of the two it is."""
    import numpy as np

    import jaxvae

    data: Any = jaxvae.data.load(options.data, split="all")
    names, values = data.factor_names, options.values
    if options.change not in names:
        raise ValueError(
            f"change is {options.change!r}, expected a factor of {options.data}: {', '.join(names) or 'it has none'}."
        )
    factors, images = data.factors, smaller(data.images, options.size)
    of, rest = names.index(options.change), [n for n, name in enumerate(names) if name != options.change]
    if len(values) != 2 or values[0] == values[1] or not np.isin(values, factors[:, of]).all():
        raise ValueError(f"values is {values}, expected two of {sorted(set(factors[:, of].tolist()))}.")
    rows = [np.flatnonzero(factors[:, of] == value) for value in values]
    ordered = [chosen[np.lexsort(factors[chosen][:, rest].T)] for chosen in rows]
    if len(rows[0]) != len(rows[1]) or (factors[ordered[0]][:, rest] != factors[ordered[1]][:, rest]).any():
        raise ValueError(f"the pictures of {options.change} {values} are no twins, expected all else to be alike.")
    mixed = np.random.default_rng(0).permutation(len(rows[0]))
    half = 2 * len(mixed) // 5  # and a fifth for the test
    parts = mixed[:half], mixed[half : 2 * half]
    pairs = list(zip("ab", ordered, strict=True))
    train = {name: unit(images[order[part]]) for (name, order), part in zip(pairs, parts, strict=True)}
    test = {name: unit(images[order[mixed[2 * half :]]]) for name, order in pairs}
    both, held = (np.concatenate(list(part.values())) for part in (train, test))
    which, told = (np.repeat([0, 1], len(part["a"])) for part in (train, test))
    judges = {name: Judged(both, which, (held, told), np.full(len(test["a"]), n)) for n, name in enumerate(("a", "b"))}
    return Sets(train, test, judges, {name: f"{options.change} {v}" for name, v in zip("ab", values, strict=True)})


def smaller(images: Any, size: int) -> Any:
    """Pictures uint8 [N, H, H, C] as [N, size, size, C], the means of squares of pixels.

    Example:
        >>> import numpy as np
        >>> smaller(np.full((3, 4, 4, 1), 8, np.uint8), 2).shape
        (3, 2, 2, 1)
    """
    import numpy as np

    count, height, width, channels = images.shape
    if height != width or height % size:
        raise ValueError(f"size is {size}, expected a part of the sides of the pictures, {height} x {width}.")
    by = height // size
    return np.rint(images.reshape(count, size, by, size, by, channels).mean((2, 4), dtype=np.float32)).astype(np.uint8)


def unit(images: Any) -> Any:
    """float32 on [0, 1] of uint8 [N, H, W, C]."""
    import numpy as np

    return np.asarray(images, np.float32) / 255


def changed(images: Any, change: str) -> Any:
    """Pictures [N, H, W, C] on [0, 1], black for white, or each row shifted by half a pixel more than the one below.

    Example:
        >>> import numpy as np
        >>> changed(np.eye(2, dtype=np.float32)[None, ..., None], "inverted")[0, ..., 0].tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    import numpy as np

    if change == "inverted":
        return 1.0 - images
    _, height, width, _ = images.shape
    moved = np.zeros_like(images)
    for row in range(height):
        shift = 0.5 * ((height - 1) / 2 - row) * min(1.0, 8 / height)
        whole = int(np.floor(shift))
        for step, share in ((whole, 1 - (shift - whole)), (whole + 1, shift - whole)):
            to, start = max(0, step), max(0, -step)
            count = width - abs(step)
            moved[:, row, to : to + count] += np.float32(share) * images[:, row, start : start + count]
    return moved.clip(0, 1)
