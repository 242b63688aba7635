"""metrics.jsonl: one JSON object a line, each with its "step"; each step once and in order after any kill."""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxvae.files import explain, log_file, plain, read_bytes, write_text

SPLITS = ("train", "test", "validation")
SCALARS = ("step", "epoch", "elbo", "log_likelihood", "kl", "skipped")
LARGEST = 1e30  # of what can be drawn; NaN is no such number either


def append_metrics(path: Path, record: Mapping[str, Any]) -> None:
    """Appends one record as a whole line and flushes it to the disk.

    Append before saving the checkpoint of the same step: a run that resumes from that one then has the line.

    Args:
        path: the file, created if need be.
        record: numbers, strings and arrays by name, with an integer "step". What is not finite becomes null.

    Raises:
        ValueError: if there is no integer step.
        OSError: naming the path and a remedy, for example on a full disk; the file keeps the lines it had.
    """
    content = plain(record)
    if type(content.get("step")) is not int:
        step = content.get("step")
        raise ValueError(f"the record has step {step!r}, expected an integer. Pass {{'step': 100, ...}}.")
    line = (json.dumps(content, allow_nan=False) + "\n").encode()
    try:
        with log_file(path) as file:
            size = os.lseek(file, 0, os.SEEK_END)
            try:
                _write(file, (b"" if _ends_line(file, size) else b"\n") + line)
                os.fsync(file)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(file, size)
                raise
    except OSError as error:
        raise explain(error, "append to", path) from error


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _ends_line(descriptor: int, size: int) -> bool:
    """False after a line that a kill has cut short."""
    if size == 0:
        return True
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) == b"\n"


def _lines(path: Path) -> list[tuple[dict[str, Any] | None, str]]:
    """(record, line) of each line; the record is None where the line is no JSON object with a step."""
    try:
        text = read_bytes(path).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    result: list[tuple[dict[str, Any] | None, str]] = []
    for line in text.split("\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        whole = isinstance(record, dict) and type(record.get("step")) is int
        result.append((record if whole else None, line))
    return result


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records, oldest first; a line that a kill has cut short is left out, a missing file has none."""
    return [record for record, _ in _lines(path) if record is not None]


def last_step(path: Path) -> int:
    """The step of the last record, 0 where there is none."""
    return max((record["step"] for record in read_metrics(path)), default=0)


class Records(NamedTuple):
    """What can be drawn of metrics.jsonl, oldest first.

    Attributes:
        train, test, validation: records with a finite "epoch", and nothing but text, numbers and lists of numbers
            beside it.
        damaged: how many lines are left out because they are none of these.
    """

    train: list[dict[str, Any]]
    test: list[dict[str, Any]]
    validation: list[dict[str, Any]]
    damaged: int


def split_records(path: Path) -> Records:
    """The records of training, test and validation images, as far as they are whole."""
    *ended, last = _lines(path) or [(None, "")]
    lines = [(record, line) for record, line in ended if line.strip()]
    lines += [last] if last[0] is not None else []  # else it is being written, or a kill has cut it short
    whole = [record for record, _ in lines if record is not None and _is_whole(record)]
    # All of one run have as many latents; a line that was damaged may have more or fewer.
    lengths = Counter(len(record["kl_per_latent"]) for record in whole if record.get("kl_per_latent"))
    usual = lengths.most_common(1)[0][0] if lengths else 0
    whole = [record for record in whole if len(record.get("kl_per_latent") or range(usual)) == usual]
    by_split = {split: [record for record in whole if record["split"] == split] for split in SPLITS}
    return Records(**by_split, damaged=len(lines) - len(whole))


def _is_whole(record: Mapping[str, Any]) -> bool:
    if record.get("split") not in SPLITS or not _is_number(record.get("epoch")):
        return False
    for name, value in record.items():
        values = value if isinstance(value, list) and name not in SCALARS else [value]
        if name != "split" and not all(item is None or _is_number(item) for item in values):
            return False
    latents = record.get("kl_per_latent")
    return latents is None or (isinstance(latents, list) and None not in latents)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def truncate_after(path: Path, step: int) -> int:
    """Drops the records after `step`, and lines cut short, before a run goes on from its checkpoint.

    Returns:
        how many records were dropped.

    Raises:
        OSError: naming the path and a remedy; the file is then unharmed.
    """
    lines = _lines(path)
    kept = [line for record, line in lines if record is not None and record["step"] <= step]
    text = "".join(line + "\n" for line in kept)
    if lines and text != "\n".join(line for _, line in lines):
        write_text(path, text)
    return sum(record is not None for record, _ in lines) - len(kept)
