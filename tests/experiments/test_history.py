"""The history of speeds: a line for each measurement, of ratios alone, and a picture of all of them."""

import json

from experiments.benchmarks import history


def test_a_line_has_the_machine_the_commit_and_ratios_and_no_seconds(tmp_path):
    rows = [
        {"contender": "jaxvae_train", "ratio": [1.0, 1.0, 1.0], "rates": [5.0]},
        {"contender": "numpyro_svi", "ratio": [0.8, 0.95049, 1.1], "rates": [6.0]},
    ]
    line = history.entry(rows, history.Options(note="busy", examples=1000))
    assert line["ratios"] == {"numpyro_svi": [0.8, 0.95, 1.1]}
    assert line["note"] == "busy"
    assert line["examples"] == 896  # of whole batches of 128, the images of an epoch
    assert line["machine"]["cores"] >= 1
    assert "rates" not in json.dumps(line)
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps(line) + "\n")
    assert history.read(path) == [line]
    assert history.read(tmp_path / "none") == []


def test_the_committed_lines_are_drawn_model_by_model():
    lines = history.read()
    assert lines
    assert all(line["examples"] % line["batch"] == 0 for line in lines)
    other = {**lines[0], "model": "conv", "machine": {"processor": "other", "cores": 1, "matrix_units": True}}
    figure = history.draw([*lines, other])
    assert [ax.get_title(loc="left").partition(":")[0] for ax in figure.axes] == ["mlp", "conv"]
    assert any(name.endswith("other with matrix units") for name in figure.axes[1].get_legend_handles_labels()[1])


def test_no_line_joins_two_batches():
    lines = [
        {"model": "mlp", "batch": batch, "commit": "0" * 10, "date": "2026-11-30", "ratios": {"other": [1.0, 2.0, 3.0]}}
        | {"machine": {"processor": "one", "cores": 1, "matrix_units": False}}
        for batch in (128, 1024, 128)
    ]
    (ax,) = history.draw(lines).axes
    assert sorted(len(bars.lines[0].get_xdata()) for bars in ax.containers) == [1, 2]
    assert len(ax.get_legend_handles_labels()[1]) == 1
