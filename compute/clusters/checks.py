"""Checks of a cluster before a build relies on it: the request, one worker that really starts, and what it sees."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from compute.clusters.cluster import Cluster
from compute.clusters.options import AddressCluster, AnyCluster, LocalCluster
from compute.clusters.starting import request, start
from cube.checks import Check, Trial
from cube.errors import ComputeError, Problem, RefusedError
from cube.releases import releases

LONGEST_SECONDS = 300.0
"""How long a single worker is waited for."""

Look = Callable[[], str]
"""Called on the worker; what is wrong there, "" where nothing is."""


def cluster_trials(options: AnyCluster, memory: int, folder: Path, looks: Mapping[str, Look]) -> Iterator[Trial]:
    """Checks in their order, each to be made before the next is asked for. Ends the worker that it starts.

    folder  where relative paths of the options start
    looks   what is looked at from the worker, by name
    """
    if isinstance(options, LocalCluster):
        return
    with contextlib.ExitStack() as stack:
        one = _One(options, memory, folder, stack)
        code = ComputeError.exit_code
        yield Trial("cluster: request", one.request)
        yield Trial("cluster: one worker", one.start, code)
        yield Trial("cluster: packages there", partial(one.look, look=_same_releases(releases())), code)
        for name, look in looks.items():
            yield Trial(f"cluster: {name} there", partial(one.look, look=look), code)


def _same_releases(ours: Mapping[str, str]) -> Look:
    return partial(_differing, ours)


def _differing(ours: Mapping[str, str]) -> str:
    theirs = releases()
    return ", ".join(
        f"{name} is {theirs[name]}, not {release}" for name, release in ours.items() if theirs[name] != release
    )


def _where() -> str:
    return socket.gethostname()


class _One:
    """One worker, started by the first check and used by the others."""

    def __init__(self, options: AnyCluster, memory: int, folder: Path, stack: contextlib.ExitStack) -> None:
        fewer: dict[str, Any] = {
            name: 1 for name in ("workers", "workers_per_job") if name in type(options).model_fields
        }
        patience = min(options.patience, LONGEST_SECONDS)
        self._options = options.model_copy(update={**fewer, "patience": patience})
        self._memory = memory
        self._folder = folder
        self._stack = stack
        self._cluster: Cluster | None = None
        self._refused = False
        self._asked = options

    def request(self, name: str) -> Check:
        """What a build would ask for, not just for one worker."""
        asked = request(self._asked, self._memory, self._folder)
        if asked.problems:
            self._refused = True
            raise RefusedError(asked.problems)
        return Check(name, "ok", asked.about)

    def start(self, name: str) -> Check:
        if self._refused:
            return Check(name, "not tried", "the request would be refused")
        begun = time.monotonic()
        cluster = self._stack.enter_context(start(self._options, self._memory, self._folder))
        cluster.want(1)
        client = cluster.client
        assert client is not None
        while not client.nthreads():
            cluster.look()
            said, problems = cluster.hindrance()
            if problems:
                raise ComputeError(problems)
            if time.monotonic() - begun > cluster.patience:
                waited = f"there was none after {time.monotonic() - begun:.0f} s: {said}"
                raise ComputeError(Problem("no-workers", waited, cluster.about, fix="see what hinders the job"))
            time.sleep(1)
        self._cluster = cluster
        where = client.submit(_where, pure=False).result(timeout=60)
        there = "" if isinstance(self._options, AddressCluster) else f" after {time.monotonic() - begun:.0f} s"
        return Check(name, "ok", f"a worker runs on {where}{there}")

    def look(self, name: str, look: Look) -> Check:
        if self._cluster is None or self._cluster.client is None:
            return Check(name, "not tried", "there is no worker to look from")
        wrong = self._cluster.client.submit(look, pure=False).result(timeout=120)
        if wrong:
            fix = "workers need the command's environment, paths, mounts and credentials"
            return Check(name, "problem", wrong, fix, ComputeError.exit_code)
        return Check(name, "ok", "as here")
