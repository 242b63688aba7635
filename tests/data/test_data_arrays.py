"""`from_array`: what becomes a data set, and what is refused with a reason."""

import numpy as np
import pytest

from jaxvae.data import from_array

GREY = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)


def test_uint8_is_taken_as_it_is_and_not_copied():
    data = from_array(GREY[..., None], labels=[3, 0], name="mine", split="test", source="here")
    assert np.shares_memory(data.images, GREY)
    assert (data.name, data.split, data.source, data.factors, data.factor_names) == ("mine", "test", "here", None, ())
    assert data.labels.dtype == np.int64
    np.testing.assert_array_equal(data.labels, [3, 0])


def test_a_missing_channel_axis_is_added():
    np.testing.assert_array_equal(from_array(GREY).images, GREY[..., None])


def test_booleans_are_black_and_white():
    np.testing.assert_array_equal(from_array(GREY > 9).images[..., 0], np.where(GREY > 9, 255, 0))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_grey_level_survives_as_a_float(dtype):
    levels = np.arange(256).reshape(16, 4, 4)
    np.testing.assert_array_equal(from_array((levels / 255).astype(dtype)).images[..., 0], levels)


def test_floats_are_rounded_to_the_nearest_level_in_a_long_array_too():
    images = np.random.default_rng(0).random((2500, 3, 2))
    difference = from_array(images).images[..., 0] - images * 255
    assert np.abs(difference).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 7, 5), (3, 1, 28, 3), (2, 3, 3, 4), (13, 1, 1)])
def test_small_and_odd_shapes_work(shape):
    assert from_array(np.zeros(shape, np.uint8)).images.size == np.prod(shape)


def test_factors_have_names():
    data = from_array(GREY, factors=[[0, 1], [2, 0]], factor_names=["shape", "size"])
    assert (data.factors.dtype, data.factor_names) == (np.int64, ("shape", "size"))


def with_value(value, index=(1200, 1, 0)):
    images = np.zeros((1300, 2, 3))
    images[index] = value
    return images


REFUSED = {
    "nothing": (dict(examples=None), "dtype object|shape"),
    "strings": (dict(examples=np.full((2, 2, 2), "a")), "dtype <U1, expected uint8"),
    "objects": (dict(examples=np.full((2, 2, 2), None)), "dtype object, expected uint8"),
    "integers": (dict(examples=GREY.astype(np.int32)), r"dtype int32, expected uint8.*astype"),
    "signed bytes": (dict(examples=GREY.astype(np.int8)), "dtype int8"),
    "complex numbers": (dict(examples=GREY.astype(complex)), "dtype complex128"),
    "a list of lists": (dict(examples=[[[0, 1], [2, 3]]]), "dtype int64"),
    "a ragged list": (dict(examples=[[[0, 1], [2]]]), "cannot be made one array"),
    "flat pixels": (dict(examples=np.zeros((5, 784), np.uint8)), r"shape \(5, 784\).*reshape"),
    "five axes": (dict(examples=np.zeros((1, 1, 2, 2, 1), np.uint8)), r"expected \[N, H, W\]"),
    "one number": (dict(examples=np.uint8(3)), r"shape \(\)"),
    "no images": (dict(examples=np.zeros((0, 8, 8, 1), np.uint8)), r"empty \(shape \(0, 8, 8, 1\)\)"),
    "no pixels": (dict(examples=np.zeros((3, 0, 8), np.uint8)), "empty"),
    "channels first": (dict(examples=np.zeros((5, 1, 28, 28), np.uint8)), r"moveaxis"),
    "colours first": (dict(examples=np.zeros((5, 3, 28, 28), np.uint8)), r"moveaxis"),
    "a NaN": (dict(examples=with_value(np.nan)), r"value nan at index \(1200, 1, 0, 0\)"),
    "infinity": (dict(examples=with_value(np.inf)), r"value inf at index \(1200, 1, 0, 0\)"),
    "float pixels": (dict(examples=with_value(255.0)), r"value 255.0 at index .*images / 255"),
    "a little below": (dict(examples=with_value(-1e-3)), r"value -0.001 at index .*\[0, 1\]"),
    "floats around 0": (dict(examples=with_value(-1.0, (0, 0, 0))), r"value -1.0 at index \(0, 0, 0, 0\)"),
    "float labels": (dict(examples=GREY, labels=[0.0, 1.0]), "labels have dtype float64, expected integers"),
    "few labels": (dict(examples=GREY, labels=[0]), r"labels have shape \(1,\), expected \(2,\)"),
    "label columns": (dict(examples=GREY, labels=[[0], [1]]), r"labels have shape \(2, 1\), expected \(2,\)"),
    "a negative label": (dict(examples=GREY, labels=[0, -3]), r"value -3 at index \(1,\)"),
    "factors without names": (
        dict(examples=GREY, factors=[[0], [1]]),
        r"factors have shape \(2, 1\), expected \(2, 0\)",
    ),
    "float factors": (dict(examples=GREY, factors=[[0.5], [1]], factor_names=["a"]), "factors have dtype float64"),
}


@pytest.mark.rows(slow=["float factors"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_data_is_refused_with_a_reason(case):
    arguments, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        from_array(**arguments)
