"""Records of runs on the store: what ran, when, and how it ended. Nothing that is published rests on them.

`runs/ID.json` is written when a run starts, with `ended` null, and again when it ends; `runs/latest-ENTRY.json` is a
copy of the newest one of its entry. ID is the second of the start, the entry, and the part of the second.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import os
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import click

from cube.errors import CubeError, MissingObjectError, Problem
from cube.hashing import readable
from cube.process import find, machine
from cube.stores import Store

FOLDER = "runs"
SCHEMA = 1
PROBLEMS = 50
"""A record lists no more."""

FUTURE = datetime.timedelta(hours=1)
"""How far ahead the clocks of others may be."""

RECORD = re.compile(rf"{FOLDER}/(\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\dZ)-([a-z]+)-([0-9a-f]{{4}})\.json")
"""Keys of records: second of the start, entry, part of the second."""

Record = Mapping[str, Any]

_current: ContextVar[Run | None] = ContextVar("run", default=None)


def key(id: str) -> str:
    return f"{FOLDER}/{id}.json"


def text(moment: datetime.datetime) -> str:
    """A time as records have it."""
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Run:
    """A run of this process; what is set on it is kept in its record.

    entry      build, verify, gc or watch
    by         "schedule" for `cube run`, otherwise "hand"
    command    as it was given
    cluster    kind of the cluster that it computes on
    outcome    what it did, of an entry's own form
    problems   as `Problem.to_json` gives them
    notified   what was sent to whom, and how it went
    report     key of a Dask performance report
    exit_code  set when the command ends
    previous   record of the entry's run before, where it could be read
    """

    store: Store
    entry: str
    by: str
    command: str
    cluster: str
    previous: Record | None = None
    outcome: dict[str, Any] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)
    notified: list[dict[str, Any]] = field(default_factory=list)
    report: str | None = None
    exit_code: int | None = None
    started: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))
    ended: datetime.datetime | None = None
    id: str = ""
    _clock: float = field(default_factory=time.monotonic)
    _alone: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        part = self.started.microsecond * 0x10000 // 1_000_000
        self.id = f"{self.started:%Y-%m-%dT%H-%M-%SZ}-{self.entry}-{part:04x}"
        self._seconds: float | None = None

    def failed(self, problems: Iterable[Problem]) -> None:
        """Note what is wrong."""
        self.problems += [problem.to_json() for problem in problems]

    def built(self, outcome: Mapping[str, Any]) -> None:
        """Note what a build did, as `showing.outcome_json` gives it. Problems are kept in one place."""
        failed = {}
        for name, error in outcome["failed"].items():
            self.problems += [{**each, "where": each["where"] or name} for each in error["problems"]]
            codes = sorted({problem["code"] for problem in error["problems"]})
            failed[name] = {"exit_code": error["exit_code"], "codes": codes}
        self.outcome = {**outcome, "failed": failed}

    @contextlib.contextmanager
    def reporting(self) -> Iterator[Path]:
        """A file for a Dask performance report; what is in it at the end is kept beside the record."""
        with tempfile.TemporaryDirectory(prefix="cube-report-") as folder:
            page = Path(folder) / "report.html"
            try:
                yield page
            finally:
                if page.exists():
                    name = f"{FOLDER}/{self.id}-report.html"
                    try:
                        self.store.put(name, page.read_bytes(), immutable=False)
                        self.report = name
                    except CubeError as error:
                        click.echo(f"the performance report was not kept: {error}", err=True)

    def end(self, exit_code: int) -> None:
        self.exit_code = exit_code
        self.ended = datetime.datetime.now(datetime.UTC)
        self._seconds = round(time.monotonic() - self._clock, 1)

    def to_json(self) -> dict[str, Any]:
        found = find(os.getpid())
        return {
            "schema": SCHEMA,
            "id": self.id,
            "entry": self.entry,
            "by": self.by,
            "command": self.command,
            "cluster": self.cluster,
            "started": text(self.started),
            "ended": text(self.ended) if self.ended else None,
            "seconds": self._seconds,
            "exit_code": self.exit_code,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "process_started": found[1] if found else None,
            "machine": machine() if found else None,
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
            "package": importlib.metadata.version("climate-impact-cube"),
            "scheduled": text(self.started) if self.by == "schedule" else (self.previous or {}).get("scheduled"),
            "outcome": self.outcome,
            "problems": self.problems[:PROBLEMS],
            "problems_omitted": max(0, len(self.problems) - PROBLEMS),
            # Without the addresses of people: where the store is public, so are records.
            "notified": [{**each, "way": each["way"].partition(" to ")[0]} for each in self.notified],
            "report": self.report,
        }

    def save(self) -> None:
        """Write the record. A store that does not take it is only told of."""
        with self._alone:
            try:
                data = readable(self.to_json())
                self.store.put(key(self.id), data, immutable=False)
                newest = latest(self.store, self.entry)
                # A run that ends does not hide one that began after it; one of a wrong clock does not hide all others.
                ahead = newest is not None and moment(newest["started"]) > self.started + FUTURE
                if newest is None or newest["id"] <= self.id or ahead:
                    self.store.put(f"{FOLDER}/latest-{self.entry}.json", data, immutable=False)
            except CubeError as error:
                click.echo(f"the record of this run was not written: {error}", err=True)


def current() -> Run | None:
    """The run that the caller is part of, if a record is kept of it."""
    return _current.get()


@contextlib.contextmanager
def recorded(store: Store, entry: str, *, command: str, cluster: str, by: str = "hand") -> Iterator[Run]:
    """Keep a record of what is done inside, however it ends.

    Inside another run, such as a build that `cube run` started, it is that run's record. SIGTERM ends the command by
    SystemExit, so that it is known how it ended.
    """
    outer = _current.get()
    if outer is not None:
        try:
            with _terminated(outer):
                yield outer
        except CubeError as error:
            outer.failed(error.problems)
            raise
        return
    run = Run(store, entry, by, command, cluster)
    with contextlib.suppress(CubeError):  # said when the record is written
        run.previous = latest(store, entry)
    run.save()
    token = _current.set(run)
    try:
        with _terminated(run):
            yield run
    except BaseException as error:
        run.end(_exit_code(run, error))
        raise
    else:
        run.end(run.exit_code or 0)
    finally:
        _current.reset(token)
        run.save()


@contextlib.contextmanager
def _terminated(run: Run) -> Iterator[None]:
    """SIGTERM ends the command by SystemExit, and the record says so at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        code = 128 + number
        run.failed((Problem("run-terminated", "the command was told to end (SIGTERM)", fix="run it again"),))
        run.end(code)
        # Work that is in hand is finished first. Who sent the signal may not wait for that.
        threading.Thread(target=run.save, name="record", daemon=True).start()
        raise SystemExit(code)

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _exit_code(run: Run, error: BaseException) -> int:
    """The exit code that the command gives for an error; what is wrong is noted."""
    if isinstance(error, CubeError):
        run.failed(error.problems)
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, click.exceptions.Exit | click.ClickException):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        run.failed((Problem("run-terminated", "the command was interrupted from the keyboard"),))
        return 1
    # The text of a fault that is not ours may hold anything, secrets too.
    run.failed((Problem("run-fault", f"unexpected: {type(error).__name__}", fix="see the log of the run"),))
    return 1


def latest(store: Store, entry: str) -> Record | None:
    """The newest record of an entry, None where there is none that can be read. Raises StoreError."""
    return _read(store, f"{FOLDER}/latest-{entry}.json")


def history(store: Store, entry: str | None = None, limit: int = 20, *, besides: Collection[str] = ()) -> list[Record]:
    """The newest records, newest first; a listing that lags may hide the last ones. Raises StoreError.

    entry    only of this one
    besides  of none of these
    """
    found = filter(None, map(RECORD.fullmatch, store.walk(FOLDER)))
    newest = sorted(found, key=lambda each: (each[1], each[3]), reverse=True)
    wanted = [each[0] for each in newest if entry in (None, each[2]) and each[2] not in besides]
    records = (_read(store, key) for key in wanted[:limit])
    return [record for record in records if record is not None]


def _read(store: Store, key: str) -> Record | None:
    try:
        record = json.loads(store.get(key))
    except (MissingObjectError, ValueError):
        return None
    sound = isinstance(record, dict) and {"id", "entry", "started", "ended", "exit_code"} <= record.keys()
    return record if sound else None


def age_days(key: str) -> float | None:
    """Days since the run began that an object below `runs` belongs to; None for what belongs to no single run."""
    match = re.match(rf"{FOLDER}/(\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\dZ)-", key)
    if not match:
        return None
    try:
        started = datetime.datetime.strptime(match[1], "%Y-%m-%dT%H-%M-%SZ").replace(tzinfo=datetime.UTC)
    except ValueError:
        return None
    return (datetime.datetime.now(datetime.UTC) - started) / datetime.timedelta(days=1)


def moment(record_time: str) -> datetime.datetime:
    """A time of a record."""
    return datetime.datetime.fromisoformat(record_time)
