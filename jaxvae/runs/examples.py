"""What a user has, as what training takes: arrays checked against the model, and how each example becomes x."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import fits, in_range, shown
from jaxvae.data.arrays import widened
from jaxvae.data.dataset import Dataset
from jaxvae.data.pixels import check_pixels
from jaxvae.data.protocols import PROTOCOLS, as_it_is
from jaxvae.models.contexts import Labelled
from jaxvae.models.records import Model, as_model
from jaxvae.runs.configs.names import unknown
from jaxvae.training.engine.step import Preprocess

NUMBERS = "biuf"  # kinds of NumPy dtypes: booleans, integers, unsigned integers, floats


class Examples(NamedTuple):
    """Training data on the host.

    Attributes:
        data: [N, *event_shape], or `Labelled` of it and N labels.
        preprocess: (key, array [*event_shape]) -> x, of an array without its label.
        example: one x, or `Labelled`, for `model.init`; zeros.
    """

    data: Any
    preprocess: Preprocess
    example: Any


def as_examples(
    model: Model, images: Any, labels: Any = None, protocol: str | None = None, *, unconditional: bool = False
) -> Examples:
    """Checks what `fit` is given.

    Args:
        model: its event shape, likelihood and context decide about what may be given.
        images: [N, *event_shape], or without a last axis of 1 that the model has. uint8 are pixels, for a protocol; all
            other numbers are x in the units of the likelihood.
        labels: [N, ...] or None.
        protocol: how uint8 pixels become x; None is "dynamic".
        unconditional: whether labels may be given to a model that takes none.

    Raises:
        ValueError, TypeError: for what the model cannot be trained on.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> found = as_examples(linear_gaussian(jnp.ones((2, 1))), [[0.5, 1.0], [2.0, -3.0], [0.0, 0.0]])
        >>> found.data.shape, found.data.dtype.name, found.preprocess.__name__
        ((3, 2), 'float32', 'as_it_is')
    """
    as_model("model", model)
    if protocol is not None and (not isinstance(protocol, str) or protocol not in PROTOCOLS):
        raise ValueError(unknown("protocol", protocol, PROTOCOLS))
    array = _with_channel(as_numbers("images", images, "jaxvae.data.load('digits').images"), model.event_shape)
    if array.shape[1:] != model.event_shape:
        expected = f"(N, {', '.join(map(str, model.event_shape))})"
        fix = ""
        if array.ndim == 4 and (*array.shape[2:], array.shape[1]) == model.event_shape:
            fix = " For channels first pass np.moveaxis(images, 1, -1)."
        elif array.ndim == 2 and array.shape[1] == np.prod(model.event_shape):
            fix = f" For rows of pixels pass images.reshape{expected.replace('N', '-1')}."
        raise ValueError(f"images have shape {array.shape}, expected {expected}, as the model was built.{fix}")
    if array.dtype == np.uint8:
        _check_uint8(array, protocol)
        preprocess = PROTOCOLS["dynamic" if protocol is None else protocol]
        if protocol is None and array.size and float(model.to_unit(np.float32(1))) < 1:
            raise ValueError(
                "protocol is missing, and its default 'dynamic' draws 0 or 1, but the likelihood of this model takes "
                "whole numbers of which 1 is small. Pass protocol='levels' to train on the pixels 0..255 themselves."
            )
    else:
        if protocol is not None:
            raise TypeError(
                f"images have dtype {array.dtype}, but the protocol {protocol!r} makes x of uint8 pixels. Leave "
                f"protocol out to train on these numbers as they are, or pass jaxvae.data.from_array(images).images."
            )
        preprocess, array = as_it_is, _as_x(model, array)
    given = None if labels is None else as_numbers("labels", labels, "one integer for each image")
    if model.context is not None:
        if labels is None:
            raise ValueError("labels are missing, but the model is conditional. Pass labels=, one for each image.")
        model.context.check(given, "labels")
    elif labels is not None and not unconditional:
        raise ValueError("labels were given, but the model takes none. Make a conditional_vae, or leave them out.")
    if given is not None:
        fits("labels", given)
    return Examples(array if given is None else Labelled(array, given), preprocess, blank_example(model))


def blank_example(model: Model) -> Any:
    """One x of zeros for `model.init`, `Labelled` where the model takes a context; of NumPy: it compiles nothing.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> blank_example(linear_gaussian(jnp.ones((2, 1)))).tolist()
        [0.0, 0.0]
    """
    blank = np.zeros(model.event_shape, jnp.result_type(float))
    return blank if model.context is None else Labelled(blank, model.context.example())


def _check_uint8(array: np.ndarray, protocol: str | None) -> None:
    """Raises `ValueError` for bytes that may be no pixels 0..255, or none to be made black and white unasked."""
    if array.ndim != 4 and protocol is None:
        raise ValueError(
            f"images are uint8 of shape {array.shape}, which may be pixels or numbers of another kind. For tokens and "
            f"counts pass images.astype(numpy.int32); for pixels 0..255 say what x is, as protocol='dynamic'."
        )
    if protocol is None and array.shape[-1] != 1:
        raise ValueError(
            f"protocol is missing, and its default 'dynamic' would make each of the {array.shape[-1]} channels black "
            f"or white at random. Pass protocol='grey' for pixel / 255, or 'levels' where the likelihood scores 0..255."
        )
    if protocol != "levels":  # which takes them for the numbers they are
        check_pixels("images", array)


def as_numbers(name: str, value: Any, such_as: str) -> np.ndarray:
    """A NumPy array of numbers; raises `TypeError` for anything that is none, records that hold arrays too."""
    kind = type(value).__name__
    if isinstance(value, Dataset):
        field = "images" if value.kind == "images" else "examples"
        raise TypeError(f"{name} is a {kind}, expected an array. Pass its .{field} (and labels=its .labels).")
    if hasattr(value, "images"):
        raise TypeError(f"{name} is a {kind}, expected an array. Pass its .images (and labels=its .labels).")
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        raise TypeError(f"{name} is a {kind}, expected one array. Pass its .{value._fields[0]}, and labels as labels=.")
    try:
        array = widened(np.asarray(value))
    except (TypeError, ValueError) as error:  # rows of different lengths
        raise TypeError(f"{name} is a {kind} that makes no array ({error}), expected one such as {such_as}.") from error
    if array.dtype.kind not in NUMBERS or array.ndim == 0:
        what = f"has dtype {array.dtype}" if array.ndim else f"is {shown(value)}"
        words = array.dtype.kind in "US" and array.ndim == 1
        fix = " Number the words: numpy.unique(words, return_inverse=True)[1]." if words else ""
        raise TypeError(f"{name} {what}, expected an array of numbers such as {such_as}.{fix}")
    return array


def _with_channel(array: np.ndarray, event_shape: tuple[int, ...]) -> np.ndarray:
    """[N, H, W, 1] of [N, H, W] where the model asks for it; nothing else is guessed."""
    return array[..., None] if (*array.shape[1:], 1) == event_shape else array


def _as_x(model: Model, array: np.ndarray) -> np.ndarray:
    """Numbers that the likelihood can score, in a dtype that the device holds without a word of its own."""
    if array.dtype.kind == "b" or (array.dtype.kind == "f" and array.dtype.itemsize < 4):
        array = array.astype(np.float32)
    seen: Any = array
    model.check(seen, "images")
    fits("images", array)
    if array.dtype.kind == "f":
        limit = float(np.finfo(np.float32).max)
        in_range("images", seen, -limit, limit, "Remove or impute the values that are not finite.")
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype), copy=False)
