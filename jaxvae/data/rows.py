"""Rows of data that stay where they are: read when they are asked for, in memory that does not grow with the data."""

import mmap
import os
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray
Read = Callable[[Array], Array]
FIRST = 1000  # rows that are checked of what stays where it is
ONCE = 2**30  # bytes of one read: a call reads two gigabytes at most
LARGE = 2**26  # bytes of what is copied into memory without a thought


class Rows:
    """Examples [N, ...] that are read when they are indexed, for whoever takes some at a time.

    It has `shape`, `dtype`, `ndim`, `size`, `nbytes` and a length, as an array has; `rows[index]` of a number, a slice
    or an array of indices is a NumPy array, and `numpy.asarray(rows)` reads all of it.

    Args:
        read: indices int64 [n] -> array [n, ...].
        shape: (N, ...).
        dtype: of what is read.

    Example:
        >>> squares = Rows(lambda index: index**2, (10,), np.int64)
        >>> squares[3], squares[2:4].tolist(), squares[np.array([9, 0])].tolist(), squares.nbytes
        (np.int64(9), [4, 9], [81, 0], 80)
    """

    def __init__(self, read: Read, shape: tuple[int, ...], dtype: Any):
        self.read, self.shape, self.dtype = read, tuple(shape), np.dtype(dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, tuple):
            first, *rest = index or (slice(None),)
            return self[first][(slice(None), *rest) if np.ndim(first) or isinstance(first, slice) else tuple(rest)]
        chosen = np.arange(len(self))[index]
        return self.read(chosen.ravel()).reshape(*chosen.shape, *self.shape[1:]) if chosen.ndim else self.one(chosen)

    def one(self, index: Any) -> Any:
        return self.read(np.array([index]))[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError(f"{len(self)} rows are read from where they are, which is a copy.")
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)


def taken(array: Any, rows: Array) -> Rows:
    """Some rows of an array, of a mapped file or of `Rows`, none of which is read yet.

    Example:
        >>> taken(np.arange(10), np.array([5, 6]))[1]
        np.int64(6)
    """
    rows = np.asarray(rows)
    rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
    return Rows(lambda index: read_rows(array, rows[index]), (len(rows), *array.shape[1:]), array.dtype)


def from_source(source: Any, read: Callable[[Any], Any] = np.asarray) -> Rows:
    """A data set of single examples, as grain, array_record and PyTorch have it, as `Rows` for a training to stream.

    Args:
        source: has a length, and `source[i]` is an example.
        read: what makes an array [...] of an example, the same shape for all: of a record, its decoder.

    Example:
        >>> rows = from_source([b"ab", b"cd"], lambda record: np.frombuffer(record, np.uint8))
        >>> rows.shape, rows[np.array([1, 0])].tolist()
        ((2, 2), [[99, 100], [97, 98]])
    """
    first = np.asarray(read(source[0]))

    def stacked(index: Array) -> Array:
        return np.stack([read(source[int(i)]) for i in index]) if len(index) else np.empty((0, *first.shape))

    return Rows(lambda index: stacked(index).astype(first.dtype, copy=False), (len(source), *first.shape), first.dtype)


def stays(array: Any) -> bool:
    """Whether examples are too many to be copied, and can stay where they are: `Rows`, or a large mapped file.

    Example:
        >>> stays(np.zeros((5, 2))), stays(Rows(lambda index: index, (10,), np.int64))
        (False, True)
    """
    return isinstance(array, Rows) or (mapped_file(array) is not None and array.nbytes > LARGE)


def looked_at(array: Any) -> Any:
    """What is checked of an array: all of it, or the first rows of what stays where it is; they are of one making."""
    return array[:FIRST] if stays(array) else array


def chunks(array: Any, size: int) -> Iterator[Array]:
    """The rows of an array, `size` at a time; of a large file they are read and let go again.

    Example:
        >>> [part.tolist() for part in chunks(np.arange(5), 2)]
        [[0, 1], [2, 3], [4]]
    """
    for start in range(0, len(array), size):
        stop = min(start + size, len(array))
        yield read_rows(array, np.arange(start, stop)) if stays(array) else array[start:stop]


def read_rows(array: Any, index: Array) -> Array:
    """array[index] as NumPy has it; rows of a large mapped file are read from it, and its pages are not touched.

    A page that is touched counts as memory of this process, with those around it, and one beyond the end of a file
    that was cut short ends the process.

    Args:
        array: [N, ...], an array, `Rows`, or anything that takes an array of indices.
        index: int64 [n].

    Raises:
        ValueError: naming the file and the first index that it no longer holds.
    """
    file, index = mapped_file(array), np.asarray(index)
    if file is None or not array.flags.c_contiguous or not len(index):
        return np.asarray(array[index])
    index = np.where(index < 0, index + len(array), index)
    width = array.nbytes // len(array)
    start = file.offset + _address(array) - _address(file)
    if array.nbytes > LARGE and (descriptor := _descriptor(file)) is not None:
        found = np.empty((len(index), *array.shape[1:]), array.dtype)
        read = _fill(found, descriptor, start + width * index)
    else:
        read = _there(file, start + width * (index + 1))
        found = np.asarray(array[index]) if read == len(index) else index
    if read < len(index):
        raise ValueError(
            f"{file.filename} was cut short while it was read: the example at index {index[read]} is gone. Put the "
            f"file back and start again; a run goes on where it stopped."
        )
    return found


def _fill(found: Array, descriptor: int, at: Array) -> int:
    """Reads the rows that begin at these bytes of a file; returns how many it holds, up to the first it does not."""
    all_bytes: Any = found.reshape(-1).view(np.uint8)
    width, into = found.nbytes // len(found), memoryview(all_bytes)
    places, begin = at.tolist(), 0
    for end in [*(np.flatnonzero(np.diff(at) != width) + 1).tolist(), len(at)]:  # rows that lie together
        done, wanted = begin * width, end * width
        while done < wanted:
            part = into[done : min(wanted, done + ONCE)]
            count = os.preadv(descriptor, [part], places[begin] + done - begin * width)
            if not count:
                return done // width
            done += count
        begin = end
    return len(at)


def _there(file: np.memmap, ends: Array) -> int:
    """How many of the rows that end at these bytes a file still holds, up to the first that it does not."""
    try:
        gone = np.flatnonzero(ends > os.path.getsize(str(file.filename)))
    except OSError:  # moved or deleted: what is mapped is still there
        return len(ends)
    return int(gone[0]) if len(gone) else len(ends)


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def mapped_file(array: Any) -> np.memmap | None:
    """The mapped file that an array is a view of; None of an array in memory.

    Example:
        >>> mapped_file(np.zeros(3)) is None
        True
    """
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
            return array
        array = array.base
    return None


_OPEN: dict[int, int] = {}


def _descriptor(file: np.memmap) -> int | None:
    """Of a mapped file, opened once and closed with it, so that another file that takes its name is not read."""
    if id(file) not in _OPEN and hasattr(os, "preadv"):
        try:
            _OPEN[id(file)] = os.open(str(file.filename), os.O_RDONLY)
        except OSError:  # moved or deleted: what is mapped is still there
            return None
        weakref.finalize(file, _close, id(file))
    return _OPEN.get(id(file))


def _close(key: int) -> None:
    os.close(_OPEN.pop(key))
