"""A cube under fire: its commands run in processes that are killed, and what is left is looked at from outside."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import posixpath
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from cube.stores import Storage, Store, open_store
from cube.versions import ProductPath
from tests.faults.hooks import VARIABLE, Faults
from tests.faults.products import COLLECTIONS, SPEC

ROOT = Path(__file__).resolve().parents[2]
KILLED = -9


@dataclass(frozen=True)
class Moment:
    """A line of the trace."""

    process: int
    moment: str
    step: str
    key: str


@dataclass(frozen=True)
class Run:
    """How a command ended. code: negative for a signal; trace: the changes it made; said: its outputs."""

    code: int
    trace: tuple[Moment, ...]
    said: str

    def keys(self, step: str, moment: str = "before") -> set[str]:
        return {each.key for each in self.trace if (each.step, each.moment) == (step, moment)}


def read_trace(path: Path) -> tuple[Moment, ...]:
    if not path.exists():
        return ()
    # The last line of a killed process may be cut.
    lines = path.read_text().split("\n")[:-1]
    return tuple(Moment(int(process), *rest) for process, *rest in (line.split("\t") for line in lines))


class Victims:
    """The process that forks those to be killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.victim"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if name != VARIABLE},
        )

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"arguments": arguments, "environment": environment, "log": str(log)}
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Process:
    """A command in a process of its own, with the processes that it starts."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], faults: Faults, log: Path) -> None:
        self._trace = Path(faults.trace)
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.victim", *arguments],
                cwd=ROOT,
                env={**os.environ, **environment, VARIABLE: faults.to_text()},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def moments(self) -> int:
        return self._trace.read_bytes().count(b"\n") if self._trace.exists() else 0

    def reaches(self, moments: int) -> bool:
        """Wait until so many moments have passed; False where it ends before."""
        while self._process.poll() is None:
            if self.moments >= moments:
                return True
            time.sleep(0.001)
        return False

    def kill_worker(self) -> bool:
        """Kill a process that has just made a change and is not the one that gives out the work, once there is one."""
        while self.reaches(self.moments + 1):
            last = read_trace(self._trace)[-1].process
            if last != self._process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(last, signal.SIGKILL)
                return True
        return False

    def kill(self) -> None:
        """Kill it and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def ended(self) -> Run:
        """Wait for its end; nothing that it started may outlive it."""
        code = self._process.wait(300)
        end = time.monotonic() + 30
        while alive := processes_of(self._process.pid):
            assert time.monotonic() < end, f"processes {alive} outlive the one that started them"
            time.sleep(0.02)
        return Run(code, read_trace(self._trace), self._log.read_text())


def processes_of(session: int) -> list[int]:
    """Processes of a session that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(path.parent.name))
    return found


class Cube:
    """A specification and the cube that its commands make; `archive` is shared, and so is the cache of identities."""

    def __init__(
        self,
        folder: Path,
        archive: Path,
        victims: Victims,
        location: str = "",
        endpoint: str = "",
        products: Sequence[str] = tuple(COLLECTIONS),
    ) -> None:
        self.folder = folder
        self.archive = archive
        self.victims = victims
        self.location = location or str(folder / "cube")
        self.storage = Storage(endpoint_url=endpoint) if endpoint else None
        self.products = tuple(products)
        self.cache = archive / "identities"
        self.runs = 0
        folder.mkdir(exist_ok=True)
        self.declare()

    @property
    def remote(self) -> bool:
        return self.storage is not None

    @property
    def store(self) -> Store:
        return open_store(self.location, self.storage)

    def declare(self, folders: Sequence[str] = ("base",), *, workers: int = 0, scratch: str = "") -> None:
        """Write the specification; the archive are the files of these folders.

        scratch  where intermediate arrays are, if not beside what is made
        """
        text = SPEC.format(
            store=self.location,
            memory="2 GiB",
            workers=f"{workers}, scratch: {scratch}" if scratch else workers,
            files=json.dumps([f"{self.archive / each}/*.nc" for each in folders]),
            storage=f"storage: {{endpoint_url: {json.dumps(self.storage.endpoint_url)}}}" if self.storage else "",
        )
        (self.folder / "cube.yaml").write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        keys = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        places = {"CUBE_CACHE": str(self.cache), "CUBE_SCRATCH": str(self.folder / "scratch")}
        return {**keys, **places}

    def arguments(self, command: str, *options: str) -> list[str]:
        named = self.products if command == "build" else ()
        return [command, *named, "--spec", str(self.folder / "cube.yaml"), *options]

    def faults(self, **chosen: Any) -> Faults:
        """Faults of the next run, with a trace of its own."""
        self.runs += 1
        prefix = self.location.partition("://")[2].partition("/")[2] + "/" if self.remote else ""
        return Faults(str(self.folder / f"trace-{self.runs}"), prefix, **chosen)

    def run(self, command: str = "build", *options: str, **chosen: Any) -> Run:
        """A command in a forked process; `chosen` are fields of `Faults`."""
        faults = self.faults(**chosen)
        log = self.folder / f"log-{self.runs}"
        environment = {**self.environment, VARIABLE: faults.to_text()}
        code = self.victims.run(self.arguments(command, *options), environment, log)
        return Run(code, read_trace(Path(faults.trace)), log.read_text() if log.exists() else "")

    def start(self, command: str = "build", *options: str) -> Process:
        """A command in a process of its own."""
        faults = self.faults(alone=False)
        return Process(self.arguments(command, *options), self.environment, faults, self.folder / f"log-{self.runs}")

    def path(self, product: str) -> ProductPath:
        return ProductPath(COLLECTIONS[product], product)

    def item(self, product: str) -> dict[str, Any] | None:
        store, key = self.store, self.path(product).item
        return None if store.head(key) is None else dict(json.loads(store.get(key)))

    def items(self) -> dict[str, dict[str, Any]]:
        """What is published."""
        return {name: item for name in self.products if (item := self.item(name)) is not None}

    def versions(self) -> dict[str, str]:
        return {name: item["properties"]["version"] for name, item in self.items().items()}

    def open(self, product: str, asset: str) -> xr.Dataset:
        """A layout as every reader opens it by the item, with plain xarray."""
        item = self.item(product)
        assert item is not None
        found = item["assets"][asset]
        href = posixpath.normpath(posixpath.join(posixpath.dirname(self.path(product).item), found["href"]))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return xr.open_zarr(
                f"{self.location}/{href}",
                storage_options=found.get("xarray:storage_options"),
                **found["xarray:open_kwargs"],
            )

    def objects(self, product: str, version: str) -> dict[str, str]:
        """sha256 of every object of a version, by name relative to it; the ledger is left out."""
        prefix = self.path(product).version(version)
        store = self.store
        names = [key.removeprefix(f"{prefix}/") for key in store.walk(prefix)]
        return {
            name: hashlib.sha256(store.get(f"{prefix}/{name}")).hexdigest()
            for name in names
            if not name.startswith("ledger/")
        }

    def published(self) -> dict[str, dict[str, str]]:
        """`objects` of all that is published, by product."""
        return {name: self.objects(name, version) for name, version in self.versions().items()}

    def names(self) -> list[str]:
        """All there is but records of runs; of what is unfinished, that which has a name."""
        if self.remote:
            found = list(self.store.walk(""))
        else:
            root = Path(self.location)
            found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        return [name for name in found if not name.startswith("runs/")]
