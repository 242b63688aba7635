"""Notebooks as a reader gets them: a text twin that says the same, outputs stored, nothing of this machine in them."""

import json
import re
from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
HOW = "make it again in notebooks/: jupytext --to ipynb {0}.py && jupyter execute --inplace {0}.ipynb"


def cells(notebook) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source.strip()) for cell in notebook.cells]


def test_every_text_twin_has_its_notebook():
    assert NOTEBOOKS
    twins = {path.stem for path in NOTEBOOKS[0].parent.glob("[0-9]*.py")}
    assert twins == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_its_text_twin_says(path):
    how = HOW.format(path.stem)
    assert cells(jupytext.read(path)) == cells(jupytext.read(path.with_suffix(".py"))), how


@pytest.mark.rows(slow=["09_your_own_data_and_networks"])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_its_outputs_and_opens_anywhere(path):
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1)), HOW.format(path.stem)
    outputs = [output for cell in code for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs), "no picture"
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert path.stat().st_size < 1_500_000, "too large to read as a diff or to clone often"
    text = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
    assert not re.search(r"!\s*pip|%pip|/home/|/root/|/tmp/|/Users/|token", text)
    names = "".join(json.dumps(output.get("text", "")) for output in outputs)
    assert not re.search(r"/home/|/root/|/tmp/|/Users/|Warning", names)
