"""What the operator sees while a command works: bars on a terminal, plain lines in a log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cube.errors import CubeError

LINE_SECONDS = 10.0
"""Between two progress lines in a log."""


class Planned(Protocol):
    """What a reporter has to know of a product's plan."""

    @property
    def name(self) -> str: ...


class Reporter:
    """Reports to a console; on anything that is no terminal, as plain lines at least ten seconds apart."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self.console = console or Console(stderr=True)
        self.quiet = quiet
        self._facts: tuple[Progress, TaskID, str] | None = None
        self._line = time.monotonic()

    def say(self, text: str) -> None:
        if not self.quiet:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def waiting(self, holder: dict[str, Any]) -> None:
        self.say(
            f"the cube is locked by process {holder.get('process')} on {holder.get('host')}; looking whether it lives"
        )

    def facts(self, text: str, done: int, total: int) -> None:
        """Progress of gathering facts of archive files."""
        if self.quiet:
            return
        if not self.console.is_terminal:
            if time.monotonic() - self._line > LINE_SECONDS:
                self._line = time.monotonic()
                self.say(f"{text}: {done} of {total}")
            return
        if self._facts is None or self._facts[2] != text:
            self._end_facts()
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
            self._end_facts()

    def _end_facts(self) -> None:
        if self._facts:
            self._facts[0].stop()
            self._facts = None

    @contextlib.contextmanager
    def product(self, plan: Planned, total: int, resumed: int) -> Iterator[Callable[[int], None]]:
        """Progress of one product over `total` works; the function it gives takes the bytes written by each."""
        self._end_facts()
        if resumed:
            self.say(f"{plan.name}: {resumed} blocks were finished by an earlier run")
        done = written = 0
        started = time.monotonic()
        if self.quiet or not self.console.is_terminal:

            def line(size: int) -> None:
                nonlocal done, written
                done, written = done + 1, written + size
                if time.monotonic() - self._line > LINE_SECONDS:
                    self._line = time.monotonic()
                    rate = written / 2**20 / max(1e-3, self._line - started)
                    self.say(f"{plan.name}: {done} of {total} works, {written / 2**20:.0f} MiB, {rate:.0f} MiB/s")

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
        self.say(
            f"{name}: published {version} ({computed} blocks computed, {taken} taken over, "
            f"{size / 2**20:.1f} MiB, {seconds:.1f} s)"
        )

    def failed(self, name: str, error: CubeError) -> None:
        self._end_facts()
        self.say(f"{name}: {error}")
