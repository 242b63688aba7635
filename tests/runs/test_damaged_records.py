"""metrics.jsonl and summary.json that were damaged, or are no files: left out and said, never a traceback or a wait."""

import json
import os

import pytest

from jaxvae.runs.folder.metrics import append_metrics, read_metrics, split_records, truncate_after
from jaxvae.runs.folder.summary import read_summary

GOOD = {"step": 1, "epoch": 0.5, "split": "train", "elbo": -1.0, "kl": None, "kl_per_latent": [0.5, 0.1], "skipped": 0}
TEST = {"step": 1, "epoch": 0.5, "split": "test", "elbo": -1.5, "elbo_standard_error": 0.1}
DAMAGED = [
    {"step": 2},
    {**GOOD, "split": "tr!in"},
    {**GOOD, "split": ["train"]},
    {**GOOD, "epoch": "0.5"},
    {**GOOD, "epoch": None},
    {**GOOD, "elbo": "-1.0"},
    {**GOOD, "elbo": [1.0]},
    {**GOOD, "elbo": {"mean": 1.0}},
    {**GOOD, "elbo": 1e300},
    {**GOOD, "elbo": 10**400},
    {**GOOD, "elbo": float("nan")},
    {**GOOD, "elbo": True},
    {**GOOD, "kl_per_latent": [0.5]},
    {**GOOD, "kl_per_latent": [0.5, None]},
    {**GOOD, "kl_per_latent": 0.5},
]


def test_damaged_lines_are_left_out_and_counted(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [
        json.dumps(GOOD),
        *map(json.dumps, DAMAGED),
        "[1, 2]",
        "null",
        "\0\0",
        '{"step": 1, ' * 2,
        json.dumps(TEST),
        json.dumps({**TEST, "split": "validation"}),
    ]
    path.write_text("\n".join(lines) + "\n" + json.dumps(GOOD) + '\n{"step": 9, "split')
    found = split_records(path)
    assert (found.train, found.test) == ([GOOD, GOOD], [TEST])
    assert found.validation == [{**TEST, "split": "validation"}]
    assert found.damaged == len(DAMAGED) + 4  # the last line is being written, or was cut short by a kill
    path.write_text('{"step": ' + "[" * 100_000 + "\n")
    assert split_records(path) == ([], [], [], 1)
    assert split_records(tmp_path / "none") == ([], [], [], 0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_a_log_that_is_no_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "metrics.jsonl"
    if kind == "device":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(path) if kind == "pipe" else path.mkdir()
    for work in (
        read_metrics,
        split_records,
        lambda path: truncate_after(path, 1),
        lambda path: append_metrics(path, GOOD),
    ):
        with pytest.raises(OSError, match=r"cannot (read|append to) .*metrics\.jsonl: "):
            work(path)


def test_a_log_that_is_a_link_is_not_written_through(tmp_path):
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "metrics.jsonl").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic link"):
        append_metrics(tmp_path / "metrics.jsonl", GOOD)
    assert (tmp_path / "mine").read_text() == "precious"


SUMMARY = {
    "step": 24,
    "epochs": 4.0,
    "parameters": 1000,
    "test": {
        "negative_elbo": {"nats": 1.5, "standard_error": 0.1},
        "kl": {"nats": 0.5, "standard_error": None},
        "images": 297,
        "samples": 1,
        "seed": 0,
        "protocol": "levels",
        "sha256": "ab",
    },
}


def test_a_summary_is_read_back(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(SUMMARY))
    assert read_summary(path) == SUMMARY
    with pytest.raises(FileNotFoundError, match="cannot read"):
        read_summary(tmp_path / "none")


def summary(**changes):
    return json.dumps({**SUMMARY, "test": {**SUMMARY["test"], **changes}})


BAD = {
    "no test": ('{"step": 1, "epochs": 1, "parameters": 1}', "test is None"),
    "no images": (summary(images=None), "test.images is None"),
    "a word for a number": (summary(images="many"), "test.images is 'many'"),
    "a number for a word": (summary(protocol=5), "test.protocol is 5"),
    "no nats": (summary(kl={}), "test.kl.nats is None"),
    "nats that are text": (summary(kl={"nats": "0.5", "standard_error": 0.1}), "test.kl.nats is '0.5'"),
    "a quantity that is a number": (summary(kl=0.5), "test.kl.nats is None"),
    "an infinite number": (json.dumps({**SUMMARY, "epochs": float("inf")}), "epochs is inf"),
    "a number of 400 digits": (json.dumps({**SUMMARY, "step": 10**400}), "step is 1000"),
    "deep": ("[" * 100_000, "nests too deeply"),
    "a list": ("[1, 2]", "holds no object"),
    "cut": ('{"step": 1', "Expecting"),
    "empty": ("", "Expecting"),
    "no text": ("\udcff", "decode"),
    "large": (json.dumps({"step": "x" * (1 << 20)}), "over 1048576 bytes"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_damaged_summary_is_named(tmp_path, fault):
    path, (text, words) = tmp_path / "summary.json", BAD[fault]
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=rf"summary\.json is damaged: .*{words}.* The same training command"):
        read_summary(path)
