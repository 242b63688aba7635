"""Splits that stay the same on every machine and in every NumPy version."""

import math

import numpy as np

from jaxvae.data.dataset import Dataset, check_split
from jaxvae.data.kinds import count_rows

SOME = 2  # the seed of the rows that stand for all
# What people call them; any case will do.
SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "val": ("val", "valid", "validation", "dev"),
}


def split_of(name: str) -> str | None:
    """The split that a folder or an array of that name holds, or None where the name says none.

    Example:
        >>> split_of("Training"), split_of("valid"), split_of("cats")
        ('train', 'val', None)
    """
    return next((split for split, forms in SPLITS.items() if name.lower() in forms), None)


def forms_of(split: str) -> tuple[str, ...]:
    """How a split may be called: as asked first, then all forms of that one.

    Example:
        >>> forms_of("validation"), forms_of("extra")
        (('validation', 'val', 'valid', 'dev'), ('extra',))
    """
    known = split_of(split)
    return tuple(dict.fromkeys([split, *(SPLITS[known] if known else ())]))


def stable_permutation(count: int, seed: int) -> np.ndarray:
    """A random order of 0..count-1, int64 [count]: the ranks of raw Philox words.

    NumPy promises the words of a bit generator for ever, and the methods of `Generator` not (NEP 19).

    Example:
        >>> stable_permutation(5, seed=0).tolist()
        [0, 2, 1, 4, 3]
    """
    return np.argsort(np.random.Philox(key=seed).random_raw(count), kind="stable")


def held_out(count: int, test: int) -> np.ndarray:
    """Marks `test` of `count` positions at even distances, bool [count].

    Example:
        >>> held_out(6, 2).tolist()
        [False, False, True, False, False, True]
    """
    return np.diff(np.arange(count + 1) * test // count).astype(bool)


def validation_rows(count: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to choose by, each in order: the latter `fraction` of all, drawn by the seed.

    Raises:
        ValueError: for a fraction that leaves fewer than two rows to choose by, or none to train on.

    Example:
        >>> training, validation = validation_rows(10, 0.3, seed=0)
        >>> training.tolist(), validation.tolist()
        ([1, 3, 4, 5, 6, 7, 8], [0, 2, 9])
    """
    held = round(count * fraction) if 0 < fraction < 1 else 0
    if not 2 <= held < count:
        raise ValueError(
            f"the validation fraction is {fraction}, which makes {held} of {count} training examples, expected at "
            f"least 2 and fewer than all. Take a number between 0 and 1, such as 0.1."
        )
    order = stable_permutation(count, seed)
    return np.sort(order[held:]), np.sort(order[:held])


def some_rows(count: int, limit: int) -> np.ndarray:
    """`limit` of the rows 0..count-1, the same every time and in order; all of them where the limit is no smaller.

    The first rows of a folder are all of one class; these are a fair sample of any order.

    Example:
        >>> some_rows(20, 4).tolist(), some_rows(3, 5).tolist()
        ([10, 12, 15, 18], [0, 1, 2])
    """
    return np.sort(stable_permutation(count, SOME)[:limit])


def part_of(count: int, fraction: float) -> int:
    """How many of so many training examples a fraction of them is: the nearest number, and at least one.

    Example:
        >>> part_of(1500, 0.01), part_of(1500, 1e-9)
        (15, 1)
    """
    return max(1, round(fraction * count))


def check_part(fraction: float, count: int, batch_size: int) -> None:
    """Raises `ValueError` where that part of so many examples is less than a batch, naming the part that would do.

    Example:
        >>> check_part(0.5, 200, 100)
    """
    left = part_of(count, fraction)
    if left < batch_size <= count:  # else the whole is too small as well
        raise ValueError(
            f"train_fraction is {fraction:g}, which leaves {left} of {count} training examples, fewer than a batch of "
            f"{batch_size}. Use a train_fraction of at least {math.ceil(1000 * batch_size / count) / 1000:g}, or a "
            f"batch_size of at most {left}."
        )


def hold_out(data: Dataset, split: str, test_fraction: float, groups: np.ndarray | None = None) -> Dataset:
    """Takes one split of data that has none of its own; the test examples are the same every time.

    Args:
        data: all of it.
        split: "train", "test" or "all".
        test_fraction: in [0, 1); with 0 all examples are "train" and there is no "test".
        groups: [N], the person or the thing that each example shows: examples of one group stay together, so that no
            test example has a near copy in training. The fraction is then one of the groups.

    Raises:
        ValueError: another split, or a fraction that leaves no example on one side.

    Example:
        >>> from jaxvae.data.dataset import from_array
        >>> data = from_array(np.zeros((10, 4, 4), np.uint8))
        >>> len(hold_out(data, "train", 0.2).images), len(hold_out(data, "test", 0.2).images)
        (8, 2)
        >>> len(hold_out(data, "test", 0.2, groups=np.arange(10) // 2).images)
        2
    """
    check_split(data.name, split, ("train", "test", "all"))
    if split == "all" or (split == "train" and test_fraction == 0):
        return data._replace(split=split)
    rows = count_rows(data.examples)
    if groups is not None and np.shape(groups) != (rows,):
        raise ValueError(
            f"the groups of {data.name} have shape {np.shape(groups)}, expected ({rows},), one for each example."
        )
    member = np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = int(member.max()) + 1
    test = round(count * test_fraction) if 0 < test_fraction < 1 else 0
    if not 0 < test < count:
        what = "groups" if groups is not None else "images" if data.kind == "images" else "examples"
        raise ValueError(
            f"{data.name} has {count} {what} and no test split, and test_fraction is {test_fraction}: expected a "
            f"fraction between 0 and 1 that leaves one on either side, such as test_fraction=0.1."
        )
    chosen = stable_permutation(count, seed=0)[held_out(count, test) == (split == "test")]
    return data.take(np.flatnonzero(np.isin(member, chosen)))._replace(split=split)
