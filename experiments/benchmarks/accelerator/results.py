"""The result as it grows: one JSON object and a short Markdown table, whole at every moment."""

import json
import time
from argparse import Namespace
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jaxvae.files import plain, write_json, write_text

NAME = "accelerator"


@dataclass
class Results:
    """What was found so far, and where it is written."""

    folder: Path
    content: dict[str, Any]
    start: float
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    @classmethod
    def begin(
        cls, folder: Path, words: list[str], machine: dict[str, Any], options: Namespace, start: float
    ) -> "Results":
        """An empty result of a command begun at `start`; that of an earlier one in the folder is kept with a number."""
        number = 1 + sum(1 for _ in folder.glob(f"{NAME}-*.json"))
        for ending in ("json", "md", "log"):
            if (old := folder / f"{NAME}.{ending}").exists():
                old.rename(folder / f"{NAME}-{number}.{ending}")
        content = {
            "command": ["python", "-m", "experiments.benchmarks.accelerator", *words],
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "tiny": options.tiny,
            "minutes": options.minutes,
            "seconds": 0.0,
            "machine": machine,
            "sections": {},
        }
        return cls(folder, content, start)

    def section(self, name: str, **changes: Any) -> dict[str, Any]:
        """The record of a section, changed and written."""
        record: dict[str, Any] = self.content["sections"].setdefault(name, {"parts": {}})
        record.update(changes)
        self.write()
        return record

    def row(self, section: str, what: str, figure: str) -> None:
        """A line of the table."""
        self.rows.append((section, what, figure))
        self.write()

    def write(self) -> None:
        """Replaces both files, each in one step."""
        self.content["seconds"] = round(time.monotonic() - self.start, 1)
        write_json(self.folder / f"{NAME}.json", self.content)
        write_text(self.folder / f"{NAME}.md", self.markdown())

    def json(self) -> str:
        """The JSON object as text."""
        return json.dumps(plain(self.content), indent=2, allow_nan=False)

    def markdown(self) -> str:
        """The table."""
        machine = self.content["machine"]
        devices = machine["card"] or ", ".join(machine["devices"])
        head = f"{devices}; jax {machine['versions']['jax']}; {self.content['date']}; {self.content['seconds']:g} s"
        lines = [f"{head}{', tiny sizes: no figure means anything' if self.content['tiny'] else ''}", ""]
        lines += ["| section | what | figure |", "|---|---|---|"]
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in self.rows]
        lines += ["", "| section | status | seconds | |", "|---|---|---|---|"]
        for name, record in self.content["sections"].items():
            why = (record.get("why") or "").replace("|", "/").replace("\n", " ")
            lines.append(f"| {name} | {record.get('status')} | {record.get('seconds')} | {why} |")
        return "\n".join(lines) + "\n"
