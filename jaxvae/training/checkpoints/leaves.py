"""A pytree as a list of named host arrays, and back.

Every leaf gets a path that no other leaf can have: `.field` of a NamedTuple, `['key']` of a dict, `{7}` of a dict with
integer keys, `[0]` of a tuple or list. `None` counts as a leaf, so that a state that lost its moving average does not
pass for one that has it.
"""

import functools
import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import is_concrete

DTYPES = {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
DTYPES |= {"bfloat16", "float16", "float32", "float64", "complex64", "complex128"}
NONE = "None"


class Leaf(NamedTuple):
    """One leaf as a checkpoint knows it; `dtype` is a NumPy name, `key<...>` for a typed key, or `None`."""

    path: str
    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def is_key(leaf: Any) -> bool:
    """True for a typed PRNG key, or a `jax.ShapeDtypeStruct` of one."""
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def sha256(array: np.ndarray) -> str:
    """The SHA-256 of the bytes of an array, in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()


def flatten(tree: Any) -> list[tuple[str, Any]]:
    """The (path, leaf) pairs of a pytree in the order of JAX; raises `ValueError` naming a dict key that is no name."""
    pairs = jax.tree_util.tree_flatten_with_path(tree, is_leaf=_is_none)[0]
    named = [("".join(_step(key) for key in keys), leaf) for keys, leaf in pairs]
    seen: set[str] = set()
    for path, _ in named:
        if path in seen:
            raise ValueError(f"two leaves are both called {path}, expected one name each. Rename one of them.")
        seen.add(path)
    return named


def unflatten(like: Any, leaves: list[Any]) -> Any:
    """A tree with the structure of `like` and these leaves, in the order of `flatten`."""
    return jax.tree.unflatten(jax.tree.structure(like, is_leaf=_is_none), leaves)


def describe(path: str, leaf: Any) -> Leaf:
    """What a checkpoint must hold for this leaf, an array or a `jax.ShapeDtypeStruct`; raises `TypeError`."""
    if leaf is None:
        return Leaf(path, (), NONE)
    if not hasattr(leaf, "dtype") or not hasattr(leaf, "shape"):
        raise TypeError(
            f"the leaf {path or '(the whole state)'} is {leaf!r:.80} ({type(leaf).__name__}), expected an array. "
            f"Wrap a number in jnp.asarray, and keep text in metadata."
        )
    dtype = str(leaf.dtype)
    if dtype not in DTYPES and not is_key(leaf):
        raise TypeError(f"the leaf {path} has dtype {dtype}, expected a typed key or one of {sorted(DTYPES)}.")
    return Leaf(path, tuple(leaf.shape), dtype)


def to_host(path: str, leaf: Any) -> np.ndarray:
    """The bits of a leaf as a NumPy array: one copy of a replicated array, the key data of a typed key."""
    if not is_concrete(leaf):
        raise TypeError(f"the leaf {path} is traced, expected an array with values. Save outside jit, grad and vmap.")
    if isinstance(leaf, jax.ShapeDtypeStruct):
        raise TypeError(f"the leaf {path} is a ShapeDtypeStruct, expected an array with values.")
    if isinstance(leaf, jax.Array) and leaf.is_deleted():
        raise ValueError(f"the leaf {path} was donated to a jitted call. Save the state which that call returned.")
    data = jax.random.key_data(leaf) if is_key(leaf) else leaf
    if isinstance(data, jax.Array) and not data.is_fully_addressable:
        if not data.is_fully_replicated:
            raise ValueError(f"the leaf {path} is split over processes. Gather it first: every save is of one host.")
        data = data.addressable_data(0)
    return np.asarray(data)


def host_arrays(tree: Any) -> dict[str, np.ndarray]:
    """`to_host` of every leaf but None, by its path, after `describe` has passed all of them."""
    named = flatten(tree)
    for path, leaf in named:
        describe(path, leaf)
    return {path: to_host(path, leaf) for path, leaf in named if leaf is not None}


def host_spec(leaf: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of what `to_host` returns, for an array or a `jax.ShapeDtypeStruct`."""
    if not is_key(leaf):
        return tuple(leaf.shape), np.dtype(leaf.dtype)
    _, words = _kind_of_key(leaf.dtype)
    return (*leaf.shape, *words.shape), np.dtype(words.dtype)


def check_finite(data: Mapping[str, np.ndarray]) -> None:
    """Raises `ValueError` naming the first leaf with a NaN or an infinity.

    Scalars of the optimiser may be infinite: a rule that waits for a plateau begins with a best loss of infinity.
    """
    for path, array in data.items():
        if array.dtype.kind in "iub":
            continue
        bad = ~np.isfinite(array)
        if array.shape == () and path.startswith((".opt_state", "['opt_state']")):
            bad = np.isnan(array)
        if bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"{path} has the value {array[index]} at index {index} ({int(bad.sum())} of {array.size} are not "
                f"finite), expected finite numbers. Nothing was saved; go on from the last good checkpoint."
            )


def from_host(leaf: Any, data: np.ndarray) -> Any:
    """The inverse of `to_host`: NumPy stays NumPy, key data becomes a key of the kind of `leaf`."""
    if not is_key(leaf):
        return data
    return jax.random.wrap_key_data(jnp.asarray(data), impl=_kind_of_key(leaf.dtype)[0])


@functools.cache  # JAX keeps what it traces, and every save asks again
def _kind_of_key(dtype: Any) -> tuple[Any, jax.ShapeDtypeStruct]:
    """The generator of keys of this dtype and the words of one, which a `jax.ShapeDtypeStruct` does not tell."""
    found: list[Any] = []

    def data(key: Any) -> jax.Array:
        found.append(jax.random.key_impl(key))
        return jax.random.key_data(key)

    words: jax.ShapeDtypeStruct = jax.eval_shape(data, jax.ShapeDtypeStruct((), dtype))
    return found[0], words


def _step(key: Any) -> str:
    if isinstance(key, jax.tree_util.DictKey):
        return f"{{{key.key}}}" if type(_plain(key.key)) is int else f"[{key.key!r}]"
    if isinstance(key, jax.tree_util.SequenceKey):
        return f"[{key.idx}]"
    if isinstance(key, jax.tree_util.GetAttrKey):
        return f".{key.name}"
    if isinstance(key, jax.tree_util.FlattenedIndexKey):
        return f"<{key.key}>"
    raise ValueError(f"a node of the state has the key {key!r}, expected dicts, tuples, lists or NamedTuples.")


def _plain(key: Any) -> Any:
    if type(key) not in (str, int):
        kind = type(key).__name__
        raise ValueError(
            f"a dict in the state has the key {key!r} ({kind}), expected a string or an integer. Rename it."
        )
    return key


def _is_none(node: Any) -> bool:
    # JAX asks this of every node before it opens it: the only moment to name a key that it could not sort.
    if isinstance(node, dict) and len({type(_plain(key)) for key in node}) > 1:
        raise ValueError(
            f"a dict in the state has the keys {list(node)!r:.200}, expected only strings or only integers."
        )
    return node is None
