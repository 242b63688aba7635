"""A table of text: names, numbers and classes as they stand there; of any other cell line, column and remedy."""

import numpy as np
import pytest

from jaxvae.data import from_array, load

ROWS = "1.5,2,a\n-3,4e2,b\n0,6,a\n"


def written(folder, text: str, name: str = "my.csv"):
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_names_numbers_and_classes_are_read_as_they_stand(tmp_path, delimiter, ends):
    text = ("\ufeffheight, weight ,kind\n" + ROWS).replace(",", delimiter).replace("\n", ends)
    data = load(written(tmp_path, text), labels="kind")
    np.testing.assert_array_equal(data.examples, [[1.5, 2], [-3, 400], [0, 6]])
    assert (data.kind, data.examples.dtype, data.columns) == ("table", np.float64, ("height", "weight"))
    assert (data.labels.tolist(), data.class_names) == ([0, 1, 0], ("a", "b"))


def test_columns_are_left_out_by_name_and_named_by_their_place_where_there_is_no_header(tmp_path):
    path = written(tmp_path, ROWS)
    data = load(path, drop=("column_3",))
    assert (data.columns, data.examples.shape, data.labels) == (("column_1", "column_2"), (3, 2), None)
    assert load(path, drop=("column_3", "column_1")).examples.ravel().tolist() == [2, 400, 6]
    single = load(written(tmp_path, "# x\n1\n2\n\n"), kind="counts")
    assert (single.columns, single.examples.tolist(), single.examples.dtype) == (("x",), [[1], [2]], np.int32)


def test_classes_that_are_numbers_are_in_their_order_and_quoted_cells_are_whole(tmp_path):
    text = 'x,"a, b",class\n1,2,10\n3,4,9\n'
    data = load(written(tmp_path, text), labels="class")
    assert (data.columns, data.class_names, data.labels.tolist()) == (("x", "a, b"), ("9", "10"), [1, 0])


def test_the_test_rows_are_held_out_with_their_classes_and_together_they_are_all(tmp_path):
    path = written(tmp_path, "x,y\n" + "".join(f"{i},{i % 3}\n" for i in range(40)))
    train, test = (load(path, split, labels="y", test_fraction=0.25) for split in ("train", "test"))
    assert sorted([*train.examples[:, 0], *test.examples[:, 0]]) == list(range(40))
    assert test.labels.tolist() == (test.examples[:, 0] % 3).tolist()
    assert (len(test.examples), test.columns) == (10, ("x",))


BAD = {  # text, options, words
    "text": (
        "a,b\n1,2\n3,many\n",
        {},
        r"my\.csv, line 3, column 'b': 'many' is no number.*--data\.drop b.*label-column b",
    ),
    "several columns": ("a,b b,c\n1,x,y\n", {}, r"column 'b b': 'x' .*the 2 columns.*--data\.drop 'b b' c \(drop="),
    "nothing": ("a,b\n1,2\n\n3,\n", {}, r"line 4, column 'b': '' is a missing value.*Fill it in"),
    "NaN": ("a,b\n1,NaN\n", {}, r"line 2, column 'b': 'NaN' is a missing value"),
    "a question mark": ("a,b\n1,?\n", {}, r"line 2, column 'b': '\?' is a missing value"),
    "infinity": ("a,b\n1,2\n-inf,2\n", {}, r"line 3, column 'a': '-inf' is not finite"),
    "digits with a gap": ("a,b\n1,1_000\n", {}, r"line 2, column 'b': '1_000' is no number"),
    "a decimal comma": ("a;b\n1;1,5\n", {}, r"line 2, column 'b': '1,5' has a decimal comma.*1\.5"),
    "too few cells": ("a,b\n1,2\n3\n", {}, r"line 3 has 1 cells, expected 2, one for each column of a, b"),
    "too many cells": ("a,b\n" + "1,2\n" * 30 + "1,2,3\n", {}, "line 32 has 3 cells, expected 2"),
    "a name twice": ("a,a\n1,2\n", {}, "line 1: two columns are named 'a'"),
    "an index without a name": (",a\n0,2\n", {}, r"line 1: column 1 of 2, cut at commas, has no name.*index=False"),
    "names again": ("a,b\n1,2\na,b\n", {}, "line 3, column 'a': 'a' is no number"),
    "names or numbers": ("a,2019\n1,2\n", {}, r"line 1, cell 1: 'a' is no number.*not clear"),
    "no rows": ("a,b\n", {}, "holds names and no rows"),
    "no lines": ("\n\n", {}, "holds no lines"),
    "no such class": ("a,b\n1,2\n", {"labels": "B"}, r"no column 'B', expected one of: a, b\."),
    "no such column": ("weight,b\n1,2\n", {"drop": ("wieght",)}, "no column 'wieght'.*Did you mean 'weight'"),
    "nothing left": ("a,b\n1,2\n", {"drop": ("a", "b")}, "of which none is left"),
    "a class is missing": ("a,b\n1,\n", {"labels": "b"}, "line 2, column 'b': the class is missing"),
    "measures as classes": ("a,b\n" + "".join(f"1,{i}.5\n" for i in range(30)), {"labels": "b"}, "30 different values"),
    "halves as counts": ("a\n1.5\n", {"kind": "counts"}, r"my\.csv: .*value 1\.5 at index \(0, 0\), expected whole"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_table_of_numbers_is_named_by_line_and_column(tmp_path, case):
    text, options, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        load(written(tmp_path, text), **options)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "my.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(ValueError, match="no table of text in UTF-8"):
        load(tmp_path / "my.csv")


def test_a_table_keeps_the_digits_that_it_came_with():
    times = np.array([[1.6e9 + 1], [1.6e9 + 2]])
    assert from_array(times, kind="table").examples.tolist() == times.tolist()
    assert from_array(times.astype(int), kind="table").examples.dtype == np.float64
    assert from_array(np.float32(times), kind="table").examples.dtype == np.float32
    with pytest.raises(ValueError, match="columns are 2 names"):
        from_array(times, kind="table", columns=("a", "b"))


def test_an_archive_names_columns_and_classes(tmp_path):
    arrays = {"counts": np.arange(6).reshape(3, 2), "kind": [1, 0, 1], "kind_names": ["no", "yes"]}
    np.savez(tmp_path / "my.npz", **arrays, columns=["a", "b"])
    data = load(tmp_path / "my.npz", kind="counts", labels="kind")
    assert (data.columns, data.class_names, data.labels.tolist()) == (("a", "b"), ("no", "yes"), [1, 0, 1])
