"""Proving again what a product advertises: sizes by HEAD, checksums by reading, in whole or a rotating share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from cube.errors import IntegrityError, MissingObjectError, Problem
from cube.hashing import sha256
from cube.live import Live, read_live, read_manifest
from cube.sealing import check_sizes
from cube.stage import Stored
from cube.stores import Store
from cube.versions import ProductPath, read_state

READ_AT_ONCE = 4
"""Objects in memory at a time while checksums are proven."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Verified:
    """What was checked of one product.

    damaged  objects of the version that are not what was written, by name relative to it
    """

    product: str
    version: str
    objects: int
    read: int
    bytes: int
    problems: tuple[Problem, ...]
    damaged: frozenset[str] = frozenset()


def share_of(name: str, parts: int) -> int:
    """Which of `parts` shares an object belongs to; stable, so that rotating through all shares reads everything."""
    return int(sha256(name.encode())[:8], 16) % parts


def verify(
    store: Store,
    path: ProductPath,
    *,
    deep: bool = False,
    share: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> Verified | None:
    """Check item, state and manifest of a product and every object of its version: present and of the recorded size;
    with `deep` or for `share`'s part, its sha256. None where nothing is published.

    share  (k, n): the k-th of n parts is read whole, k from 1
    """
    live = read_live(store, path, mending=True)
    if live is None:
        return None
    problems = list(live.damage)
    try:
        read_state(store, path)
    except IntegrityError as error:
        problems += error.problems
    prefix = path.version(live.version)
    stored = {name: Stored(**entry) for name, entry in live.manifest.get("objects", {}).items()}
    bad = check_sizes(store, prefix, stored)
    absent = {problem.where for problem in bad}
    chosen = [name for name in sorted(stored) if deep or (share and share_of(name, share[1]) == share[0] - 1)]
    chosen = [name for name in chosen if f"{prefix}/{name}" not in absent]
    bad += _changed(
        store, prefix, {name: stored[name] for name in chosen}, f"{path.product}: proving objects", progress
    )
    size = sum(stored[name].bytes for name in chosen)
    damaged = frozenset(problem.where.removeprefix(f"{prefix}/") for problem in bad)
    problems += _with_sharing(store, path, live, bad)
    return Verified(path.product, live.version, len(stored), len(chosen), size, tuple(problems), damaged)


def _changed(
    store: Store, prefix: str, stored: Mapping[str, Stored], text: str, progress: Progress | None
) -> list[Problem]:
    done = 0

    def read(name: str) -> Problem | None:
        nonlocal done
        try:
            found = sha256(store.get(f"{prefix}/{name}"))
        except MissingObjectError as error:
            return error.problems[0]
        finally:
            done += 1
            if progress:
                progress(text, done, len(stored))
        if found == stored[name].sha256:
            return None
        return Problem(
            "object-changed",
            f"its sha256 is {found[:12]}..., {stored[name].sha256[:12]}... was written",
            f"{prefix}/{name}",
            "readers get errors or wrong numbers",
            "`cube build --repair`",
        )

    with ThreadPoolExecutor(READ_AT_ONCE) as pool:
        return [problem for problem in pool.map(read, stored) if problem]


def _with_sharing(store: Store, path: ProductPath, live: Live, problems: list[Problem]) -> list[Problem]:
    """The problems, each with the kept versions that hold the same file: in a folder unchanged objects are linked."""
    others: dict[str, Mapping[str, Any]] = {}
    for version in read_state(store, path, mending=True).kept if problems else ():
        try:
            if version != live.version:
                others[version] = read_manifest(store, path, version)["objects"]
        except IntegrityError:
            continue  # returning to that version is refused on its own account
    found = []
    for problem in problems:
        name = problem.where.removeprefix(f"{path.version(live.version)}/")
        info = store.head(problem.where)
        sharing = [
            version
            for version, objects in others.items()
            if name in objects
            and info is not None
            and (other := store.head(f"{path.version(version)}/{name}")) is not None
            and (info.etag, info.bytes) == (other.etag, other.bytes)
        ]
        shared = f"; the versions {', '.join(sharing)} share it" if sharing else ""
        found.append(replace(problem, what=problem.what + shared))
    return found
