"""Proving again what a version advertises: sizes by HEAD, checksums by reading, in whole or a rotating share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from cube.errors import MissingObjectError, Problem
from cube.hashing import sha256
from cube.stage import Stored
from cube.stores import Store
from cube.versions import ProductPath, check_sizes

READ_AT_ONCE = 4
"""Objects in memory at a time while checksums are proven."""


@dataclass(frozen=True)
class Verified:
    """What was checked of one product."""

    product: str
    version: str
    objects: int
    read: int
    bytes: int
    problems: tuple[Problem, ...]


def share_of(name: str, parts: int) -> int:
    """Which of `parts` shares an object belongs to; stable, so that rotating through all shares reads everything."""
    return int(sha256(name.encode())[:8], 16) % parts


def verify(
    store: Store,
    path: ProductPath,
    version: str,
    manifest: Mapping[str, Any],
    *,
    deep: bool = False,
    share: tuple[int, int] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Verified:
    """Check every object of a version: present and of the recorded size; with `deep` or for `share`'s part, its sha256.

    share  (k, n): the k-th of n parts is read whole, k from 1
    """
    prefix = path.version(version)
    stored = {name: Stored(**entry) for name, entry in manifest["objects"].items()}
    problems = check_sizes(store, prefix, stored)
    bad = {problem.where for problem in problems}
    chosen = [name for name in sorted(stored) if deep or (share and share_of(name, share[1]) == share[0] - 1)]
    chosen = [name for name in chosen if f"{prefix}/{name}" not in bad]
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
                progress(f"{path.product}: proving objects", done, len(chosen))
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
        problems += [problem for problem in pool.map(read, chosen) if problem]
    size = sum(stored[name].bytes for name in chosen)
    return Verified(path.product, version, len(stored), len(chosen), size, tuple(problems))
