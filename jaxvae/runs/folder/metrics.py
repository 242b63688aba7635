"""metrics.jsonl: one JSON object a line, each with its "step"; each step once and in order after any kill."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxvae.files import explain, plain, write_text


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
        with path.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                _write(file.fileno(), (b"" if _ends_line(path, size) else b"\n") + line)
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(size)
                raise
    except OSError as error:
        raise explain(error, "append to", path) from error


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _ends_line(path: Path, size: int) -> bool:
    """False after a line that a kill has cut short."""
    if size == 0:
        return True
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _lines(path: Path) -> list[tuple[dict[str, Any] | None, str]]:
    """(record, line) of each line; the record is None where the line is no JSON object with a step."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise explain(error, "read", path) from error
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
