"""How every candidate is measured, and the table that comes of it.

A candidate is a fresh process. Its wall time runs from its start to its end, imports and clusters included. Its CPU
time is user and system time of the process and of all its descendants, as the kernel sums it up for `wait4`. Its peak
is the largest resident set (VmHWM) of a single process of its tree, sampled while it runs and, for processes that the
candidate asks itself, as they report it.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parent.parent
_INTERVAL = 0.1
_REPORT = "BENCHMARK "


class CandidateError(RuntimeError):
    """A candidate failed; the text is the end of what it printed."""


@dataclass(frozen=True)
class Measured:
    """One run of one candidate.

    wall, cpu    seconds
    ready        wall and CPU seconds until the candidate said `ready()`: imports and the start of workers
    peak         bytes, the largest process
    report       what the candidate reported besides
    """

    wall: float
    cpu: float
    ready: tuple[float, float]
    peak: int
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def work(self) -> float:
        """CPU seconds after the candidate was ready."""
        return self.cpu - self.ready[1]


@dataclass(frozen=True)
class Table:
    """What a case found, ready to be printed; cells are text."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def text(self) -> str:
        widths = [max(len(row[i]) for row in (self.columns, *self.rows)) for i in range(len(self.columns))]
        lines = [
            "  ".join(
                _aligned(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (self.columns, *self.rows)
        ]
        return "\n".join([self.title, "=" * len(self.title), *lines, *self.notes])

    def markdown(self) -> str:
        head = [f"| {' | '.join(self.columns)} |", f"|{'|'.join(['---', *['---:'] * (len(self.columns) - 1)])}|"]
        notes = ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join([f"### {self.title}", "", *head, *(f"| {' | '.join(row)} |" for row in self.rows), *notes])


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)


def ratio(value: float, ours: float) -> str:
    """How many times ours another value is."""
    return f"{value / ours:.2f}x" if ours else "-"


# ----------------------------------------------------------------------------------------------- inside a candidate


def tree_seconds() -> float:
    """CPU seconds of this process, its living descendants, and those it waited for."""
    total = 0.0
    for process in _tree(os.getpid()):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def ready() -> None:
    """Said by a candidate once everything is imported and its workers are up: what follows is the work."""
    _say({"ready": [time.time() - psutil.Process().create_time(), tree_seconds()]})


def report(**values: Any) -> None:
    """What a candidate tells besides; `peak` is the largest resident set that it knows of, bytes."""
    _say(values)


def peak_resident() -> int:
    """Largest resident set of this process so far, bytes."""
    return _peak(os.getpid())


def _say(values: Mapping[str, Any]) -> None:
    print(_REPORT + json.dumps(values), flush=True)


# ------------------------------------------------------------------------------------------------------ outside of it


def run_candidate(
    arguments: Sequence[str], *, seconds: float = 3600, environment: Mapping[str, str] | None = None
) -> Measured:
    """Run `python *arguments` and measure it. What it leaves in caches is written to the disk within its wall time.

    Raises CandidateError where it fails, and TimeoutError where it takes more than `seconds`.
    """
    os.sync()  # what others left to be written is not its work
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    sampler = _Sampler(process.pid)
    output: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda stream: output.extend(stream), args=(process.stdout,), daemon=True)
    reader.start()
    timer = threading.Timer(seconds, _end_tree, (process.pid,))
    timer.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        _end_tree(process.pid)
        raise
    finally:
        timer.cancel()
        peak = sampler.stop()
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join(10)
    process.stdout.close()
    os.sync()
    wall = time.monotonic() - started
    if process.returncode:
        if wall >= seconds:
            raise TimeoutError(f"{' '.join(arguments)} was ended after {seconds:.0f} s")
        raise CandidateError("".join(output[-40:]))
    said: dict[str, Any] = {}
    for line in output:
        if line.startswith(_REPORT):
            said |= json.loads(line.removeprefix(_REPORT))
    begun = tuple(said.pop("ready", (0.0, 0.0)))
    return Measured(wall, usage.ru_utime + usage.ru_stime, begun, max(peak, said.get("peak", 0)), said)


def interleaved[T](repeats: int, candidates: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Run every candidate `repeats` times, in rounds, so that a disturbance of the machine meets them all."""
    found: dict[str, list[T]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            found[name].append(run())
    return found


def median(runs: Sequence[Measured]) -> Measured:
    """The median of each number, the largest of the peaks; reports of the last run."""
    middle = statistics.median
    return Measured(
        middle(run.wall for run in runs),
        middle(run.cpu for run in runs),
        (middle(run.ready[0] for run in runs), middle(run.ready[1] for run in runs)),
        max(run.peak for run in runs),
        runs[-1].report,
    )


def machine() -> str:
    """What the numbers were measured on."""
    name = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "unknown processor",
    )
    memory = psutil.virtual_memory().total / 2**30
    return f"{len(os.sched_getaffinity(0))} cores ({name}), {memory:.0f} GiB, Python {sys.version.split()[0]}"


class _Sampler:
    """Watches the largest resident set of a process tree."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._ended = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(_INTERVAL):
            for pid in _pids(self._pid):
                self._peak = max(self._peak, _peak(pid))

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._peak


def _pids(root: int) -> Iterator[int]:
    """A process and its descendants, without looking at all processes of the machine."""
    yield root
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                yield from _pids(int(child))


def _tree(root: int) -> Iterator[psutil.Process]:
    for pid in _pids(root):
        with contextlib.suppress(psutil.Error):
            yield psutil.Process(pid)


def _peak(pid: int) -> int:
    # getrusage also counts what the process was before it became this program.
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 if "VmHWM:" in status else 0


def _end_tree(pid: int) -> None:
    for process in [*_tree(pid)][::-1]:
        with contextlib.suppress(psutil.Error):
            process.kill()
