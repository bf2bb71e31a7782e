"""Identity and facts of all files of an archive: remembered ones by one query, new ones in parallel processes."""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from cube.errors import InputError, Problem
from ingest import remote
from ingest.archive import ArchiveFile
from ingest.discovery import Found, nothing
from ingest.facts import FACTS_REVISION, FileFacts, Structure, gather
from ingest.identity import IdentityCache, Known
from ingest.opening import NativeFile, Stamp, check_length, held, is_remote, moved, stamp_of, unreadable

Progress = Callable[[int, int], None]
"""Called with the number of files done and of all files."""

_BATCH = 64
_ASKED_AT_ONCE = 16
_ALONE = 256
"""Fewer new files than this are not worth starting processes."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A file that can be read, and what it holds."""

    file: ArchiveFile
    facts: FileFacts


@dataclass
class Inventory:
    """All files, the blobs that their facts name, and what is wrong with the files that cannot be read."""

    files: list[Gathered]
    structures: dict[str, Structure]
    blobs: dict[str, bytes]
    problems: list[Problem]

    @property
    def found(self) -> int:
        return len(self.files) + len(self.problems)


@dataclass(frozen=True)
class _Outcome:
    known: dict[str, Known]
    blobs: dict[str, bytes]
    problems: dict[str, Problem]


def take_inventory(
    found: Sequence[Found],
    group: str,
    coordinates: bool,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Inventory:
    """Look at every file; nothing is raised for files that cannot be read.

    executor  runs the new ones; without it, and with many of them, this machine's processors do
    """
    kind = f"{FACTS_REVISION}:{group}:{int(coordinates)}"
    cache = IdentityCache()
    stamps, problems = _stamps(found)
    known = {place: each for place, each in cache.find(list(stamps), kind).items() if each.stamp == stamps[place]}
    # A server without ETags cannot tell that a file changed.
    known = {place: each for place, each in known.items() if each.stamp[-1] != ""}
    facts = _parsed(known)
    blobs = cache.blobs({name for each in facts.values() for name in (each.structure, *each.arrays.values())})
    facts = {place: each for place, each in facts.items() if {each.structure, *each.arrays.values()} <= blobs.keys()}
    new = [each for each in found if each.location in stamps and each.location not in facts]
    done = len(facts)
    for outcome in _run(new, stamps, group, coordinates, executor):
        # What was gathered is kept at once: a run that is killed need not begin again.
        cache.keep(outcome.known, outcome.blobs, kind)
        known |= outcome.known
        facts |= _parsed(outcome.known)
        blobs |= outcome.blobs
        problems |= outcome.problems
        done += len(outcome.known) + len(outcome.problems)
        if progress:
            progress(done, len(found))
    files = [
        Gathered(_archive_file(each, known[each.location]), facts[each.location])
        for each in found
        if each.location in facts
    ]
    structures = {name: Structure.from_text(blobs[name].decode()) for name in {each.facts.structure for each in files}}
    ordered = [problems[each.location] for each in found if each.location in problems]
    return Inventory(files, structures, blobs, ordered)


def _archive_file(found: Found, known: Known) -> ArchiveFile:
    return ArchiveFile(found.location, found.name, int(known.stamp[0]), known.sha256, known.stamp, found.storage)


def _parsed(known: dict[str, Known]) -> dict[str, FileFacts]:
    """The facts of the files; those that cannot be read are left out, to be gathered again."""
    facts: dict[str, FileFacts] = {}
    for place, each in known.items():
        with suppress(ValueError, TypeError):
            facts[place] = FileFacts.from_text(each.facts)
    return facts


def _stamps(found: Sequence[Found]) -> tuple[dict[str, Stamp], dict[str, Problem]]:
    far = [each for each in found if is_remote(each.location)]
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as threads:
        answers = dict(zip((each.location for each in far), threads.map(_stamp, far), strict=True))
    for each in found:
        if each.location not in answers:
            answers[each.location] = _stamp(each)
    stamps = {place: each for place, each in answers.items() if not isinstance(each, Problem)}
    return stamps, {place: each for place, each in answers.items() if isinstance(each, Problem)}


def _stamp(found: Found) -> Stamp | Problem:
    """What changes when a file does, or why it cannot be used. Raises StoreError where a server fails."""
    unmatched = nothing(found)
    if unmatched:
        return unmatched
    try:
        if is_remote(found.location):
            info = remote.information(found.location, found.storage)
            if info is None:
                raise FileNotFoundError(errno.ENOENT, "no such object")
            stamp = remote.stamp_of(info)
        else:
            stamp = stamp_of(os.stat(found.location))  # noqa: PTH116 - a Path takes longer than the disk
    except OSError as error:
        return unreadable(found.name, error)
    if stamp[0] == 0:
        return Problem(
            "file-empty",
            "it has zero bytes",
            found.name,
            "the period it should hold would be missing",
            "fetch it again, or remove it from `files`",
        )
    return stamp


def _run(
    new: Sequence[Found], stamps: dict[str, Stamp], group: str, coordinates: bool, executor: Executor | None
) -> Iterator[_Outcome]:
    batches = [new[at : at + _BATCH] for at in range(0, len(new), _BATCH)]
    arguments = [
        (batch, {each.location: stamps[each.location] for each in batch}, group, coordinates) for batch in batches
    ]
    if executor is None and len(new) < _ALONE:
        yield from (_look(*each) for each in arguments)
        return
    with _processes(executor) as pool:
        yield from pool.map(_look, *zip(*arguments, strict=True))


@contextmanager
def _processes(executor: Executor | None) -> Iterator[Executor]:
    if executor is not None:
        yield executor
        return
    # Spawned: a process forked from one with threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=context) as pool:
        yield pool


def _look(found: Sequence[Found], stamps: dict[str, Stamp], group: str, coordinates: bool) -> _Outcome:
    outcome = _Outcome({}, {}, {})
    for each in found:
        try:
            stamp, sha256, (facts, blobs) = _gather(each, stamps[each.location], group, coordinates)
            outcome.known[each.location] = Known(stamp, sha256, facts.to_text())
            outcome.blobs.update(blobs)
        except InputError as error:
            outcome.problems[each.location] = error.problems[0]
        except (KeyError, IndexError):
            # netCDF's answer where there is no such group.
            outcome.problems[each.location] = Problem(
                "no-variables",
                f"it has no group {group}: it is not a file of this source",
                each.name,
                fix="correct `files` or `source`",
            )
        except (OSError, RuntimeError, ValueError) as error:
            # netCDF raises RuntimeError for damage that it meets after opening.
            outcome.problems[each.location] = unreadable(each.name, error)
    return outcome


def _gather(
    found: Found, stamp: Stamp, group: str, coordinates: bool
) -> tuple[Stamp, str, tuple[FileFacts, dict[str, bytes]]]:
    if is_remote(found.location):
        path, sha256 = remote.download(found.location, found.storage, int(stamp[0]))
        info = remote.information(found.location, found.storage)
        if info is None or remote.stamp_of(info) != stamp:
            raise moved(found.name)
        with path.open("rb") as file:
            check_length(file.fileno())
        return stamp, sha256, _facts_of(str(path), group, coordinates)
    with held(found.location, stamp, found.name) as descriptor:
        sha256 = _sha256(descriptor)
        check_length(descriptor)
        return stamp, sha256, _facts_of(found.location, group, coordinates)


def _facts_of(path: str, group: str, coordinates: bool) -> tuple[FileFacts, dict[str, bytes]]:
    with NativeFile(path) as native:
        return gather(native, group, coordinates)


def _sha256(descriptor: int) -> str:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
