"""In the process that is to be killed: every change of a store is written to a trace, and one of them is the last.

The trace has a line a moment: process, moment, step and key. Moments of a change in a directory are `before`, `torn`
(half of the temporary file is written), `middle` (the temporary file is whole and has no name yet), `linked` (it has
both names) and `after`; on an object store `before`, `torn` (half of the body is sent) and `after`, those of uploads in
parts with `create`, `part` or `complete` added.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

VARIABLE = "CUBE_FAULTS"
"""Environment variable that gives `Faults` to a process and to those that it starts."""

SIZES = {"SHARD_BYTES": 366 * 4 * 12, "CHUNK_BYTES": 366 * 4 * 6}
"""Of `cube.layout`: a shard is two chunks of six cells of a year."""


@dataclass(frozen=True)
class Faults:
    """What is done to a process.

    trace       file that it appends to
    prefix      of the keys on an object store, ending in "/"; empty for a directory
    event       it dies at this moment of all, counted from 0; None for one that `step` and `moment` choose, or none
    delay       and so many seconds later, in the middle of what it does then
    step        as `step_of` names it
    nth         of the matching moments, counted from 0
    part_bytes  larger objects of `step` are sent in parts
    renew       seconds between two renewals of the lock
    alone       look at new files without starting processes for it
    conditional whether a directory says that it compares and sets in one step
    """

    trace: str
    prefix: str = ""
    event: int | None = None
    delay: float = 0.0
    step: str | None = None
    moment: str = "before"
    nth: int = 0
    part_bytes: int | None = None
    renew: float | None = None
    alone: bool = True
    conditional: bool = True

    def to_text(self) -> str:
        return json.dumps(asdict(self))


def step_of(operation: str, key: str, data: bytes | None) -> str:
    """The step of a build that a change belongs to. operation: put, copy or delete."""
    if key == "lock":
        held = _value(data)
        return "lock free" if not held else "lock renew" if held.get("counter") else "lock acquire"
    if re.fullmatch(r"catalog\.json|[^/]+/collection\.json", key):
        return "catalogue"
    if key.startswith("runs/"):
        return "record"
    parts = key.split("/", 3)
    if key.startswith(".tmp-probe"):
        return "probe"
    if len(parts) == 3:
        if parts[2] != "state.json":
            return "item flip"
        state = _value(data)
        return "state staged" if state.get("staged") else "state pinned" if state.get("pin") else "state live"
    name = parts[3]
    if name.endswith(".array"):
        return "tidy" if operation == "delete" else "first pass"
    if operation == "delete":
        for start, step in (("manifest.json", "gc manifest"), ("tombstone", "gc tombstone")):
            if name.startswith(start):
                return step
        return "gc object"
    if name.startswith(("ledger/time/", "ledger/map/")):
        return "mark taken" if _value(data).get("taken") else "mark"
    named = {
        "ledger/claim": "claim",
        "ledger/passes/": "pass mark",
        "references": "references",
        "manifest.json": "seal",
        "tombstone": "gc tombstone",
    }
    for start, step in named.items():
        if name.startswith(start):
            return step
    if re.match(r"(time|map)\.zarr/(pr|dry_days|valid_days)/c/", name):
        return "take-over" if operation == "copy" else "block"
    return "structure"


def _value(data: bytes | None) -> dict[str, Any]:
    return dict(json.loads(bytes(data))) if data else {}


class Watch:
    """Counts moments, writes them down, and ends the process group at the chosen one."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._trace = os.open(faults.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._lock = threading.Lock()
        self._events = self._matches = 0

    def chosen(self, moment: str, step: str, key: str) -> bool:
        """Write a moment down; whether it is to be the last."""
        with self._lock:
            os.write(self._trace, f"{os.getpid()}\t{moment}\t{step}\t{key}\n".encode())
            number, self._events = self._events, self._events + 1
            if self.faults.step == step and self.faults.moment == moment:
                self._matches += 1
                return self._matches == self.faults.nth + 1
            return self.faults.event == number

    def at(self, moment: str, step: str, key: str) -> None:
        if self.chosen(moment, step, key):
            self.die()

    def die(self) -> None:
        if self.faults.delay:
            threading.Timer(self.faults.delay, _kill).start()
        else:
            _kill()


def _kill() -> None:
    # Only a group of our own: that of the tests would take them along.
    if os.getpgrp() == os.getsid(0):
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def install(faults: Faults) -> None:
    """Watch this process."""
    watch = Watch(faults)
    _shrink(faults)
    if faults.prefix:
        _watch_object_stores(watch)
    else:
        _watch_directories(watch)


def _shrink(faults: Faults) -> None:
    from cube import layout, lock, rechunk
    from cube.stores import directory
    from tests.faults.products import WET_COLUMNS

    for name, size in SIZES.items():
        setattr(layout, name, size)
    real = rechunk.slab_memory

    def memory(source: Any, window: Any) -> int:
        # No slab of `wet` fits, so that it takes two passes.
        return real(source, window) + (10**12 if source.part.shape[-1] == WET_COLUMNS else 0)

    rechunk.slab_memory = memory
    if faults.renew:
        lock.RENEW_SECONDS = faults.renew
    if not faults.conditional:
        directory.DirectoryStore.conditional = property(lambda _: False)
        lock.SETTLE_SECONDS = 0.0
    if faults.alone:
        from batch import build

        build.ProcessPoolExecutor = lambda *_: contextlib.nullcontext()
    # What was written survives the death of a process; flushing it helps against power cuts only, and takes time.
    os.fsync = lambda _: None


def _watch_directories(watch: Watch) -> None:
    from cube.stores import directory

    doing = threading.local()
    store = directory.DirectoryStore

    @contextlib.contextmanager
    def change(operation: str, key: str, data: Any) -> Iterator[None]:
        step = step_of(operation, key, data)
        watch.at("before", step, key)
        doing.now = (step, key)
        try:
            yield
        finally:
            doing.now = None
        watch.at("after", step, key)

    def watched(operation: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **options: Any) -> Any:
            key = args[1] if operation == "copy" else args[0]
            data = args[1] if operation == "put" else None
            with change(operation, key, data):
                return real(self, *args, **options)

        return call

    for name, operation in (("put", "put"), ("put_if_unchanged", "put"), ("copy", "copy"), ("delete", "delete")):
        setattr(store, name, watched(operation, getattr(store, name)))

    write_beside, link_beside, link_new = directory.write_beside, directory.link_beside, directory.link_new

    def torn(path: Any, data: Any) -> Any:
        if (now := getattr(doing, "now", None)) and watch.chosen("torn", *now):
            write_beside(path, bytes(data)[: len(data) // 2])
            watch.die()
        return noted("middle", write_beside(path, data))

    def noted(moment: str, made: Any) -> Any:
        if now := getattr(doing, "now", None):
            watch.at(moment, *now)
        return made

    directory.write_beside = torn
    directory.link_beside = lambda path, source: noted("middle", link_beside(path, source))
    directory.link_new = lambda temporary, path: noted("linked", link_new(temporary, path))


_CHANGES = {
    "put_object": ("put", ""),
    "copy_object": ("copy", ""),
    "delete_object": ("delete", ""),
    "create_multipart_upload": ("put", " create"),
    "upload_part": ("put", " part"),
    "complete_multipart_upload": ("put", " complete"),
    "abort_multipart_upload": ("delete", " abort"),
}
"""Requests that change something: what they do, and what is added to the names of their moments."""


def _watch_object_stores(watch: Watch) -> None:
    from aiohttp import http_writer

    from cube.stores import s3, s3_connection

    real, send = s3_connection.Connection._send, http_writer.StreamWriter.write
    put, part_bytes = s3.S3Store.put, s3.PART_BYTES
    tearing = threading.Event()
    whole = threading.local()

    def keep(self: Any, key: str, data: Any, **options: Any) -> None:
        # The parts of an object do not tell its step.
        whole.data = data
        parted = watch.faults.part_bytes and step_of("put", key, data) == watch.faults.step
        s3.PART_BYTES = watch.faults.part_bytes if parted else part_bytes
        try:
            put(self, key, data, **options)
        finally:
            whole.data = None

    def watched(self: Any, operation: str, body: Any, parameters: Mapping[str, Any]) -> Any:
        if operation not in _CHANGES:
            return real(self, operation, body, parameters)
        key = str(parameters["Key"]).removeprefix(watch.faults.prefix)
        data = getattr(whole, "data", None) or body
        kind, part = _CHANGES[operation]
        step = step_of(kind, key, data)
        watch.at(f"before{part}", step, key)
        if body and watch.chosen("torn", step, key):
            tearing.set()
        answer = real(self, operation, body, parameters)
        watch.at(f"after{part}", step, key)
        return answer

    async def half(self: Any, chunk: Any, **options: Any) -> None:
        if tearing.is_set():
            await send(self, bytes(chunk)[: len(chunk) // 2], **options)
            await asyncio.sleep(0.01)
            _kill()
        await send(self, chunk, **options)

    s3.S3Store.put = keep
    s3_connection.Connection._send = watched
    http_writer.StreamWriter.write = half


def from_environment() -> None:
    """Watch this process where the environment says so."""
    if given := os.environ.get(VARIABLE):
        install(Faults(**json.loads(given)))
