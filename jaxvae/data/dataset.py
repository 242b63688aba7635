"""`Dataset`: labelled examples as plain NumPy arrays, and the one place where a user's array becomes one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxvae.data.kinds import Kind, as_examples, count_rows, take_rows
from jaxvae.data.labels import as_class_names, as_indices

Array = np.ndarray


class Dataset(NamedTuple):
    """Examples of one split, in memory or memory-mapped, never changed by the library.

    Attributes:
        name: what it is called, for run folders and messages.
        examples: an array [N, ...], or a dict of them, as its kind says; `data.rows.Rows` where some of a large file
            were taken, which are read when they are indexed.
        kind: "images" (uint8 [N, H, W, C]), "tokens" (int32 [N, T]), "counts" (int32 [N, D]), "table" (float32
            or float64 [N, D]) or "tree" (a dict of arrays [N, ...]). Only images are pixels.
        labels: int64 [N] class of each example, or None.
        factors: int64 [N, F] index of each example along each known factor of variation, or None.
        factor_names: F names.
        class_names: the name of each class, in the order of their numbers, the same in every split; () if unknown.
        split: "train", "test", or what the source calls it.
        source: where it came from, one line.
        columns: the name of each column of a table or of counts; () if unknown.

    Example:
        >>> import numpy as np
        >>> data = from_array(np.zeros((5, 8, 8), np.uint8), labels=[0, 1, 2, 1, 0], name="blank")
        >>> data.images.shape, data.images.dtype.name, data.labels.tolist()
        ((5, 8, 8, 1), 'uint8', [0, 1, 2, 1, 0])
    """

    name: str
    examples: Any
    kind: Kind
    labels: Array | None
    factors: Array | None
    factor_names: tuple[str, ...]
    class_names: tuple[str, ...]
    split: str
    source: str
    columns: tuple[str, ...] = ()

    @property
    def images(self) -> Array:
        """The examples, uint8 [N, H, W, C]; raises `ValueError` where they are no images."""
        if self.kind != "images":
            raise ValueError(f"{self.name} holds {self.kind}, no images. Take its .examples.")
        return self.examples

    def take(self, rows: Array) -> "Dataset":
        """The examples of some rows, with their labels and factors."""
        labels = None if self.labels is None else self.labels[rows]
        factors = None if self.factors is None else self.factors[rows]
        return self._replace(examples=take_rows(self.examples, rows), labels=labels, factors=factors)


def from_array(
    examples: Any,
    *,
    kind: Kind = "images",
    labels: Any = None,
    factors: Any = None,
    factor_names: Sequence[str] = (),
    class_names: Sequence[str] = (),
    name: str = "array",
    split: str = "train",
    source: str = "an array from Python",
    columns: Sequence[str] = (),
) -> Dataset:
    """Checks an array and makes it a `Dataset`; data of the right dtype is shared with the caller, not copied.

    Args:
        examples: for images [N, H, W, C], or [N, H, W] which gains C = 1: uint8 as it is; bool as 0 and 255; floats in
            [0, 1] are multiplied by 255 and ROUNDED to uint8, so they keep 8 bits. For tokens integers [N, T], for
            counts whole numbers [N, D], for a table finite numbers [N, D] (float64 stays float64), for a tree a dict
            of arrays [N, ...]. bfloat16 is widened.
        kind: "images", "tokens", "counts", "table" or "tree"; what are no images must be said to be none.
        labels: integers [N], not negative.
        factors: integers [N, F], with F `factor_names`.
        class_names: of the labels 0, 1, 2, ..., the same for every split.
        name, split, source: kept in the record.
        columns: the name of each column, of a table or of counts.

    Raises:
        ValueError: another dtype, rank or range, a NaN (its index is named), no examples, labels of another length.

    Example:
        >>> import numpy as np
        >>> from_array(np.full((2, 4, 4), 0.5)).images[0, 0, 0, 0]
        np.uint8(128)
        >>> from_array([[7, 2, 9]], kind="tokens").examples
        array([[7, 2, 9]], dtype=int32)
    """
    found = as_examples(examples, kind)
    count = count_rows(found)
    numbers = None if labels is None else as_indices("labels", labels, (count,))
    factor_names = tuple(factor_names)
    positions = None if factors is None else as_indices("factors", factors, (count, len(factor_names)))
    names, called = as_class_names(class_names, numbers), tuple(str(column) for column in columns)
    if called and (kind not in ("table", "counts") or len(called) != found.shape[-1]):
        raise ValueError(f"columns are {len(called)} names, expected one for each column of a table or of counts.")
    return Dataset(name, found, kind, numbers, positions, factor_names, names, split, source, called)


def check_split(name: str, split: str, splits: Sequence[str]) -> None:
    """Raises `ValueError` listing the splits unless `split` is one of them."""
    if split not in splits:
        raise ValueError(f"{name} has no split {split!r}, expected one of: {', '.join(splits)}.")
