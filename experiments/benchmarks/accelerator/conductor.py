"""Runs the sections one after the other, each in a process of its own and in its time; writes what they say."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from experiments.benchmarks.accelerator.results import NAME, Results
from experiments.benchmarks.speed import ROOT

# In the order of their value; seconds of eight minutes, the rest of which is the start.
SECTIONS = {"right": 100, "speed": 140, "convolutions": 35, "sweep": 45, "samples": 60, "cold_start": 40, "burda": 50}
MINUTES, TINY_MINUTES = 8.0, 60.0  # the latter on the most crowded machine
SHORTEST = 5.0  # seconds under which a section is not begun
GRACE = 3.0  # seconds that a section has to end by itself when its time is over


def environment(options: Namespace) -> dict[str, str]:
    """For every process: programs are kept, and several processes share the device's memory."""
    dry = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"} if options.tiny else {}  # compiles sooner
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "JAX_COMPILATION_CACHE_DIR": str(options.cache.resolve()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "MPLBACKEND": "Agg",
        **dry,
    }


def conduct(options: Namespace, results: Results, scratch: Path) -> int:
    """Runs what was asked for; prints the JSON object and returns the exit code."""
    scale, end, spent = options.minutes / MINUTES, results.start + 60 * options.minutes - GRACE, 0.0
    for name in SECTIONS:
        why = "not begun" if name in options.only else "not asked for"
        results.section(name, status="skipped", why=why, seconds=0.0)
    caught = [signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGINT)]
    code = 0
    try:
        for name in SECTIONS:
            if name not in options.only:
                continue
            spent += scale * SECTIONS[name]
            left = min(results.start + spent, end) - time.monotonic()
            if left >= min(SHORTEST, scale * SECTIONS[name] / 2):
                _section(name, left, options, results, scratch)
            else:
                results.section(name, why="no time was left")
    except _Stopped as stopped:
        code = 128 + stopped.number
    for number, handler in zip((signal.SIGTERM, signal.SIGINT), caught, strict=True):
        signal.signal(number, handler)
    results.write()
    print(results.json(), flush=True)
    return code or int(any(record["status"] == "failed" for record in results.content["sections"].values()))


class _Stopped(BaseException):
    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


def _stop(number: int, frame: Any) -> None:
    raise _Stopped(number)


def command(name: str, scratch: Path, seconds: float, options: Namespace) -> list[str]:
    """The program of a section."""
    words = [sys.executable, "-m", "experiments.benchmarks.accelerator.section", name, str(scratch), str(seconds)]
    return [*words, "--python-peers", options.python_peers, *(["--tiny"] if options.tiny else [])]


def _section(name: str, seconds: float, options: Namespace, results: Results, scratch: Path) -> None:
    """One section, its record and its end, whatever happens to it."""
    start = time.monotonic()
    record = results.section(name, status="running", why=None, budget=round(seconds, 1))
    status: str = "cut"
    why: str | None = "stopped from outside"
    with (results.folder / f"{NAME}.log").open("a+") as log:
        print(f"== {name}", file=log, flush=True)
        process = subprocess.Popen(
            command(name, scratch, seconds, options), cwd=ROOT, env=environment(options),
            stdout=subprocess.PIPE, stderr=log, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            if _listen(process, name, start + seconds + GRACE, results):
                code = process.wait()
                status, why = ("failed", f"exit code {code}: {_last_words(log)}") if code else _sum(record["parts"])
            else:
                why = f"its {seconds:.0f} s were over"
        finally:
            with suppress(ProcessLookupError):  # and whatever it started
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for part in record["parts"].values():
                if part["status"] == "running":
                    part["status"] = status
            results.section(name, status=status, why=why, seconds=round(time.monotonic() - start, 1))
            print(f"{name}: {status}{f', {why}' if why else ''}", file=sys.stderr, flush=True)


def _listen(process: subprocess.Popen[str], name: str, deadline: float, results: Results) -> bool:
    """Takes what the section says until it ends, which is True, or until the deadline."""
    lines: queue.Queue[str | None] = queue.Queue()
    assert process.stdout is not None
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()  # until the process is gone
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return False
        if line is None:
            return True
        said = json.loads(line)
        if "row" in said:
            print(f"[{time.monotonic() - results.start:4.0f} s] {name}: {': '.join(said['row'])}", file=sys.stderr)
            results.row(name, *said["row"])
        else:
            part = results.content["sections"][name]["parts"].setdefault(said.pop("part"), {})
            part.update(said)
            results.write()


def _read(pipe: IO[str], lines: "queue.Queue[str | None]") -> None:
    with pipe:
        for line in pipe:
            lines.put(line)
    lines.put(None)


def _sum(parts: dict[str, Any]) -> tuple[str, str | None]:
    """The status of a section and why: the worst of its parts."""
    for status in ("failed", "cut", "skipped"):
        found = [f"{name}: {part.get('why') or status}" for name, part in parts.items() if part["status"] == status]
        if found:
            return ("cut" if status == "skipped" else status), "; ".join(found)
    return "done", None


def _last_words(log: IO[str]) -> str:
    log.seek(0)
    return " ".join(log.read()[-600:].split())
