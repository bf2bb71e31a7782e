"""What the operator sees while a command works: bars on a terminal, plain lines in a log, JSON lines for machines."""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from batch.runs import records
from cube.errors import CubeError

LINE_SECONDS = 10.0
"""Between two progress lines in a log."""


class Planned(Protocol):
    """What a reporter has to know of a product's plan."""

    @property
    def name(self) -> str: ...


class Reporter:
    """Reports to a console; on anything that is no terminal, as plain lines at least ten seconds apart.

    quiet      say nothing
    log_json   one JSON object a line and event, on standard error, instead of text
    dashboard  whether the Dask dashboard is wanted; by default where somebody looks at a terminal
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        quiet: bool = False,
        log_json: bool = False,
        dashboard: bool | None = None,
    ) -> None:
        self.console = console or Console(stderr=True)
        self.quiet = quiet
        self.log_json = log_json
        self.dashboard = (self.plain and self.console.is_terminal) if dashboard is None else dashboard
        self._facts: tuple[Progress, TaskID, str] | None = None
        self._line = time.monotonic()
        self._failed = set[str]()

    @property
    def plain(self) -> bool:
        """Whether text for people is wanted."""
        return not self.quiet and not self.log_json

    def say(self, text: str) -> None:
        if self.log_json:
            self.event("message", text=text)
        elif not self.quiet:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def event(self, name: str, **facts: Any) -> None:
        """What only machines are told. facts: JSON values."""
        if self.log_json:
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            run = records.current()
            line = json.dumps(
                {"time": now, "run": run.id if run else None, "event": name, **facts}, ensure_ascii=False, default=str
            )
            self.console.file.write(f"{line}\n")
            self.console.file.flush()

    def waiting(self, holder: dict[str, Any]) -> None:
        self.say(
            f"the cube is locked by process {holder.get('process')} on {holder.get('host')}; looking whether it lives"
        )

    def _due(self) -> bool:
        """Whether it is time for another line of progress."""
        if time.monotonic() - self._line <= LINE_SECONDS:
            return False
        self._line = time.monotonic()
        return True

    def facts(self, text: str, done: int, total: int) -> None:
        """Progress of gathering facts of archive files."""
        if not self.plain:
            if self._due():
                self.event("looking", at=text, done=done, total=total)
            return
        if not self.console.is_terminal:
            if self._due():
                self.say(f"{text}: {done} of {total}")
            return
        if self._facts is None or self._facts[2] != text:
            self.end_facts()
            bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} files"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            bar.start()
            self._facts = (bar, bar.add_task(text, total=total), text)
        self._facts[0].update(self._facts[1], completed=done, total=total)
        if done >= total:
            self.end_facts()

    def end_facts(self) -> None:
        """Take the bar of `facts` away; two bars cannot be on a terminal at once."""
        if self._facts:
            self._facts[0].stop()
            self._facts = None

    @contextlib.contextmanager
    def product(self, plan: Planned, total: int, resumed: int) -> Iterator[Callable[[int], None]]:
        """Progress of one product over `total` works; the function it gives takes the bytes written by each."""
        self.end_facts()
        self.event("begun", product=plan.name, works=total, resumed=resumed)
        if resumed and self.plain:
            self.say(f"{plan.name}: {resumed} blocks were finished by an earlier run")
        done = written = 0
        started = time.monotonic()
        if not self.plain or not self.console.is_terminal:

            def line(size: int) -> None:
                nonlocal done, written
                done, written = done + 1, written + size
                self.event("done", product=plan.name, bytes=size, done=done, works=total)
                if self.plain and self._due():
                    spent = max(1e-3, self._line - started)
                    rate, left = written / 2**20 / spent, _spoken(spent / done * (total - done))
                    size_text = f"{written / 2**20:.0f} MiB, {rate:.0f} MiB/s"
                    self.say(f"{plan.name}: {done} of {total} works, {size_text}, {left} left")

            yield line
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} works"),
            TextColumn("{task.fields[size]:.0f} MiB {task.fields[rate]:.0f} MiB/s"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(plan.name, total=total, size=0.0, rate=0.0)

            def advance(size: int) -> None:
                nonlocal written
                written += size
                rate = written / 2**20 / max(1e-3, time.monotonic() - started)
                bar.update(task, advance=1, size=written / 2**20, rate=rate)

            yield advance

    def published(self, name: str, version: str, computed: int, taken: int, size: int, seconds: float) -> None:
        if self.log_json:
            facts = {"version": version, "computed": computed, "taken": taken, "bytes": size, "seconds": seconds}
            self.event("published", product=name, **facts)
            return
        self.say(
            f"{name}: published {version} ({computed} blocks computed, {taken} taken over, "
            f"{size / 2**20:.1f} MiB, {seconds:.1f} s)"
        )

    def ended(self, exit_code: int, failed: Mapping[str, CubeError], **facts: Any) -> None:
        """How the command ends, for machines; products that failed before anything was begun are told of first."""
        for name, error in failed.items():
            if name not in self._failed:
                self.failed(name, error)
        self.event("ended", exit_code=exit_code, **facts)

    def failed(self, name: str, error: CubeError) -> None:
        self.end_facts()
        self._failed.add(name)
        if self.log_json:
            problems = [problem.to_json() for problem in error.problems]
            self.event("failed", product=name, exit_code=error.exit_code, problems=problems)
            return
        self.say(f"{name}: {error}")


def _spoken(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
