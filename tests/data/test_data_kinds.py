"""Kinds of examples: right as they are, or refused by dtype and range with a remedy that works."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.data import Dataset, fixed_binarization, from_array, load
from jaxvae.data.pixels import check_pixels

TOKENS = np.array([[3, 1, 4], [1, 5, 9]])
NAN = np.nan
CASES = {  # kind: what is given, what comes out
    "tokens": (TOKENS.astype(np.uint8), TOKENS, np.int32),
    "counts": (TOKENS.astype(np.float64), TOKENS, np.int32),
    "table": (jnp.asarray(TOKENS, jnp.bfloat16) / 2, TOKENS / 2, np.float32),
    "images": (jnp.ones((2, 4, 4), jnp.bfloat16), np.full((2, 4, 4, 1), 255), np.uint8),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_kind_has_one_dtype_and_the_values_that_were_given(kind):
    given, expected, dtype = CASES[kind]
    data = from_array(given, kind=kind, labels=[1, 0], class_names=["no", "yes"])
    np.testing.assert_array_equal(data.examples, expected)
    assert (data.examples.dtype, data.kind, data.class_names) == (dtype, kind, ("no", "yes"))
    assert from_array(**data._asdict())._asdict().keys() == data._asdict().keys()
    again = from_array(data.examples, kind=kind)
    assert np.shares_memory(again.examples, data.examples)  # the right dtype is not copied


def test_a_tree_keeps_its_names_and_dtypes_and_is_split_as_one(tmp_path):
    tree = {"picture": np.zeros((4, 2, 2, 1), np.uint8), "audio": {"wave": np.arange(8.0).reshape(4, 2)}}
    tree |= {"words": np.arange(12).reshape(4, 3), "seen": np.ones(4, bool)}
    data = from_array(tree, kind="tree", labels=range(4))
    found = data.take(np.array([3, 1]))
    assert found.labels.tolist() == [3, 1]
    assert found.examples["audio"]["wave"].tolist() == [[6, 7], [2, 3]]
    assert {name: part.dtype.name for name, part in found.examples.items() if name != "audio"} == {
        "picture": "uint8",
        "words": "int32",
        "seen": "bool",
    }
    with pytest.raises(ValueError, match=r"tree\['audio'\]\['wave'\] have the value nan"):
        from_array({"audio": {"wave": np.array([[NAN]])}}, kind="tree")
    with pytest.raises(ValueError, match=r"different lengths \{'a': 1, 'b': 2\}"):
        from_array({"a": np.zeros((1, 1)), "b": np.zeros((2, 1))}, kind="tree")


def test_what_are_no_images_cannot_be_taken_for_images():
    tokens = from_array(TOKENS, kind="tokens", name="words")
    with pytest.raises(ValueError, match=r"words holds tokens, no images\. Take its \.examples"):
        _ = tokens.images
    assert tokens.examples.tolist() == TOKENS.tolist()
    with pytest.raises(ValueError, match=r"uint8 of shape \(2, 3\), expected a uint8 NumPy array \[N, H, W, C\]"):
        fixed_binarization(TOKENS.astype(np.uint8))
    assert isinstance(tokens, Dataset)


def test_files_are_read_as_the_kind_that_is_said(tmp_path):
    np.save(tmp_path / "tunes.npy", TOKENS.astype(np.uint8))
    np.savez(tmp_path / "tunes.npz", x_train=TOKENS, y_train=[0, 1], names=["slow", "fast"])
    for name in ("tunes.npy", "tunes.npz"):
        with pytest.raises(ValueError, match=rf"{name}.*kind='tokens'|not clear which are the images"):
            load(tmp_path / name)
        assert load(tmp_path / name, kind="tokens").examples.tolist() == TOKENS.tolist()
    named = load(tmp_path / "tunes.npz", kind="tokens", class_names="names")
    assert (named.labels.tolist(), named.class_names) == ([0, 1], ("slow", "fast"))


def grey(low: float, high: float, dtype: type = np.float32) -> np.ndarray:
    return np.linspace(low, high, 32).reshape(2, 4, 4).astype(dtype)


REFUSED = {  # arguments, kind, words
    "uint8 rows": (TOKENS.astype(np.uint8), "images", r"shape \(2, 3\).*kind='tokens'"),
    "levels 0..15 in int32": (grey(0, 15, np.int32), "images", r"dtype int32.*values are 0 to 15.*images / 15"),
    "levels 0..15 in uint8": (grey(0, 15, np.uint8), "images", r"no value above 15.*images / 15"),
    "0 and 1 in uint8": (grey(0, 1, np.uint8), "images", r"no value above 1.*astype\(bool\)"),
    "16 bits": (grey(0, 65535, np.uint16), "images", r"dtype uint16.*0 to 65535.*images / 65535"),
    "pixels on [-1, 1]": (grey(-1, 1), "images", r"value -1.0 at index .*pass \(images \+ 1\) / 2"),
    "standardised pixels": (grey(-2, 2), "images", r"go from -2 to 2.*kind='table'"),
    "a dict of images": ({"a": grey(0, 1)}, "images", "kind='tree'"),
    "bytes of bfloat16": (np.zeros((2, 4, 4), "V2"), "images", r"dtype \|V2.*numpy.save keeps no bfloat16"),
    "an unknown kind": (TOKENS, "pixels", r"kind is 'pixels', expected one of: images, tokens"),
    "negative tokens": (TOKENS - 2, "tokens", r"value -1 at index \(0, 1\).*padding"),
    "float tokens": (TOKENS + 0.0, "tokens", r"dtype float64.*astype\(int\)"),
    "one row of tokens": (TOKENS[0], "tokens", r"shape \(3,\), expected \[N, T\]"),
    "wide tokens": (TOKENS + 2**32, "tokens", r"value 4294967299 at index \(0, 0\), expected 0 to 2147483647"),
    "wide counts": (TOKENS + 2.0**32, "counts", r"expected 0 to 2147483647"),
    "halves": (TOKENS / 2, "counts", r"value 1.5 at index \(0, 0\), expected whole numbers"),
    "a NaN in a table": (np.array([[1.0, NAN]]), "table", r"value nan at index \(0, 1\)"),
    "too large for float32": (np.array([[1e200]]), "table", r"value 1e\+200 at index"),
    "integers that float64 rounds": (np.array([[2**53 + 1]]), "table", r"value 9007199254740993 at index"),
    "words in a table": (np.array([["a"]]), "table", "dtype <U1, expected numbers"),
    "no rows": (np.zeros((0, 3)), "table", r"shape \(0, 3\)"),
    "an array for a tree": (TOKENS, "tree", "expected a dict of arrays"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_another_dtype_or_range_is_refused_with_the_remedy(case):
    given, kind, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        from_array(given, kind=kind)


def test_the_remedies_for_levels_and_signed_pixels_give_the_picture():
    levels = grey(0, 15, np.int32)
    for images in (levels / 15, (levels / 7.5 - 1 + 1) / 2):
        np.testing.assert_array_equal(from_array(images).images[..., 0], np.rint(levels * 17.0))
    dark = from_array(levels / 255).images  # pixels that really are that dark
    np.testing.assert_array_equal(dark[..., 0], levels)
    check_pixels("images", np.zeros((3, 2, 2, 1), np.uint8))  # black is black
    check_pixels("images", np.concatenate([np.zeros((5000, 1, 1, 1), np.uint8), np.full((1, 1, 1, 1), 200, np.uint8)]))


WORDS = np.array(["owl", "cat"])
LABELS = {  # what is given, what the message says, and what it says to do
    "words": (WORDS, "searchsorted", lambda words: np.searchsorted(np.unique(words), words)),
    "words as objects": (WORDS.astype(object), "are words", lambda words: np.searchsorted(np.unique(words), words)),
    "a column": (np.array([[1], [0]]), r"column pass labels\[:, 0\]", lambda labels: labels[:, 0]),
    "one-hot": (np.eye(2)[[1, 0]], r"one-hot rows pass labels\.argmax\(1\)", lambda labels: labels.argmax(1)),
    "whole floats": (np.array([1.0, 0.0]), r"labels\.astype\(int\)", lambda labels: labels.astype(int)),
}


@pytest.mark.parametrize("case", LABELS)
def test_the_remedy_for_labels_works(case):
    given, words, remedy = LABELS[case]
    pictures = np.zeros((2, 4, 4), np.uint8)
    with pytest.raises(ValueError, match=words):
        from_array(pictures, labels=given)
    assert from_array(pictures, labels=remedy(given)).labels.tolist() == [1, 0]


def test_class_names_fit_the_labels():
    pictures = np.zeros((2, 4, 4), np.uint8)
    for names, words in ((["a"], "up to 1, but there are 1"), (["a", "a"], "'a' twice"), ("ab", "one name for each")):
        with pytest.raises(ValueError, match=words):
            from_array(pictures, labels=[0, 1], class_names=names)
    with pytest.raises(ValueError, match=r"value 4294967297 at index \(1,\)"):
        from_array(pictures, labels=[0, 2**32 + 1])
    assert load("digits").class_names[7] == "7"
    assert load("shapes", "all", count=3).class_names == ("square", "ellipse", "heart")
