"""Many builds that start together, each a process of its own: `python -m tests.batch.writers` forks them.

It has imported everything by then, so that sixteen interpreters need not start; nothing but modules is shared. Tests
talk to it by a `Starter`.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from cube import lock
from tests import shifted_clock

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Writer:
    """How one build ended. said: all that it wrote to its outputs."""

    process: int
    code: int
    said: str

    @property
    def published(self) -> list[str]:
        """Versions that it says it has published."""
        return re.findall(r"^\S+: published (\S+) \(", self.said, flags=re.MULTILINE)

    @property
    def blamed(self) -> tuple[int, str] | None:
        """The process and host that it says hold the lock."""
        found = re.search(r"held by process (\d+) on (\S+), since ", self.said)
        return (int(found[1]), found[2]) if found else None


class Starter:
    """The process that forks builds."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.batch.writers"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _say(self, value: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(value)}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def begin(self, folder: Path, writers: Sequence[Mapping[str, Any]]) -> list[int]:
        """Start builds of `folder`/cube.yaml at once; their processes. Call `ended` before the next ones.

        writers  for each process: `shift`, seconds that its wall clock is ahead; `locked`, False to take no lock and
                 check none; `patch`, Python text that runs before it builds
        """
        places = {"CUBE_CACHE": str(folder / "identities"), "CUBE_SCRATCH": str(folder / "scratch")}
        environment = {**{name: value for name, value in os.environ.items() if name.startswith("AWS_")}, **places}
        return list(self._say({"folder": str(folder), "environment": environment, "writers": writers}))

    def ended(self) -> list[Writer]:
        """Wait for all of them."""
        return [Writer(**each) for each in self._say("end")]

    def run(self, folder: Path, writers: Sequence[Mapping[str, Any]]) -> list[Writer]:
        """Start builds and wait for them."""
        self.begin(folder, writers)
        return self.ended()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _without_lock() -> None:
    """Let this process take every lock for free, and believe for ever that it holds it."""
    lock._acquire = lambda place, mine, waiting, settle: lock._counted(mine, 0)
    lock.Lease.check = lambda lease: None


def _log(folder: str, process: int) -> Path:
    return Path(folder) / f"writer-{process}"


def _build(folder: str, wait: int, shift: float = 0, locked: bool = True, patch: str = "") -> None:
    """A forked process: wait for the others, build, exit."""
    from batch.command import main

    log = os.open(_log(folder, os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 70
    try:
        if shift:
            shifted_clock.shift(shift)
        if not locked:
            _without_lock()
        exec(patch, {})
        os.read(wait, 1)
        main(["build", "--spec", f"{folder}/cube.yaml"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 70
    except BaseException:  # noqa: BLE001  whatever it is, the test reads it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _fork(folder: str, environment: Mapping[str, str], writers: Sequence[Mapping[str, Any]]) -> list[int]:
    os.environ.update(environment)
    wait, hold_back = os.pipe()
    processes = []
    for options in writers:
        process = os.fork()
        if process == 0:
            os.close(hold_back)
            _build(folder, wait, **options)
        processes.append(process)
    os.close(wait)
    os.close(hold_back)  # lets all of them begin
    return processes


def _serve() -> None:
    for name in ("batch.command", "ingest.job", "netCDF4", "s3fs"):
        importlib.import_module(name)
    xr.Variable("x", [0.0])  # xarray looks for Dask and others when it makes its first one
    # The threads of numerical libraries, which are idle.
    warnings.filterwarnings("ignore", message=".*multi-threaded", category=DeprecationWarning)
    folder, processes = "", list[int]()
    for line in sys.stdin:
        request = json.loads(line)
        if request == "end":
            codes = {each: os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in processes}
            said = {each: _log(folder, each) for each in processes}
            answer: Any = [
                {"process": each, "code": codes[each], "said": path.read_text() if path.exists() else ""}
                for each, path in said.items()
            ]
        else:
            folder = request["folder"]
            answer = processes = _fork(**request)
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
