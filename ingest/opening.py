"""The one place that opens archive files.

A file is what it was when it was listed, before and after each reading, or the run fails.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")  # archives are often mounted read-only or without locks

import netCDF4

from cube.errors import InputError, Problem
from ingest.archive import ArchiveFile
from ingest.classic import TruncatedHeaderError, expected_bytes
from ingest.remote import fetched

Stamp = tuple[int | str, ...]

# Neither netCDF nor HDF5 may be entered by two threads of a process.
_LIBRARY = threading.RLock()


def is_remote(location: str) -> bool:
    return "://" in location


def stamp_of(status: os.stat_result) -> Stamp:
    """What changes when a file on disk does."""
    return (status.st_size, status.st_mtime_ns, status.st_ino)


def moved(name: str) -> InputError:
    """The error for a file that changed since it was listed."""
    return InputError(
        Problem(
            "input-moved",
            "the file changed while it was being used",
            name,
            "old and new values would be mixed in one product",
            "wait until the archive is at rest, then run the same command again",
        )
    )


def unreadable(name: str, error: Exception) -> Problem:
    """The problem that an OSError of opening or reading stands for."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOENT:
        return Problem("file-missing", "there is no such file", name, fix="restore it, or correct `files`")
    if number in (errno.EACCES, errno.EPERM):
        return Problem(
            "file-permission", "it may not be read", name, fix="give this user read permission, or correct `files`"
        )
    return Problem(
        "file-unreadable",
        f"it cannot be read as NetCDF or HDF5 ({_plain(error)})",
        name,
        "the period it holds would be missing",
        "fetch it again: it is truncated, damaged or of another format",
    )


def _plain(error: Exception) -> str:
    # The library's text ends with the path.
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.split(": '")[0].split(": b'")[0]


@contextmanager
def held(path: str, stamp: Stamp, name: str) -> Iterator[int]:
    """A descriptor of the file, proven to be the listed one before and after; raises InputError where it is not."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if stamp_of(os.fstat(descriptor)) != stamp:
            raise moved(name)
        try:
            yield descriptor
        finally:
            # A file replaced meanwhile leaves the descriptor's own state untouched, hence both.
            if stamp_of(os.fstat(descriptor)) != stamp or _now(path) != stamp:
                raise moved(name)
    finally:
        os.close(descriptor)


def _now(path: str) -> Stamp | None:
    try:
        return stamp_of(Path(path).stat())
    except OSError:
        return None


@contextmanager
def at_rest(files: Sequence[ArchiveFile]) -> Iterator[None]:
    """Prove that files on disk can be read and are the listed ones, before and after others read them by their paths.

    Raises InputError with all that are not; what went wrong meanwhile is then no news.
    """
    _prove(files)
    try:
        yield
    finally:
        _prove(files)


def _prove(files: Sequence[ArchiveFile]) -> None:
    problems: list[Problem] = []
    for file in files:
        # The local copy of a remote file is proven by its sha256.
        if is_remote(file.location):
            continue
        try:
            with held(file.location, file.stamp, file.name):
                pass
        except InputError as error:
            problems += error.problems
        except OSError as error:
            problems.append(unreadable(file.name, error))
    if problems:
        raise InputError(problems)


def check_length(descriptor: int) -> None:
    """Raise OSError for an empty or truncated file that netCDF would read as zeros."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        head = file.read(4)
        if head in (b"GRIB", b"BUFR"):
            raise OSError(f"it is {head.decode()}; convert it to NetCDF first")
        if head[:1] == b"<":
            raise OSError("it is a web page, not a data file")
        file.seek(0)
        size = os.fstat(descriptor).st_size
        try:
            expected = expected_bytes(file)
        except TruncatedHeaderError as error:
            raise OSError(str(error)) from None
        if expected is not None and size < expected:
            raise OSError(f"it ends after {size} of {expected} bytes")


@contextmanager
def local(file: ArchiveFile) -> Iterator[Path]:
    """Where an archive file can be read on this machine: a copy with a proven sha256 stands for a remote one.

    Raises InputError where a remote file changed or cannot be fetched, StoreError where its server fails.
    """
    path = Path(file.location)
    if is_remote(file.location):
        try:
            path = fetched(file)
        except OSError as error:
            raise InputError(unreadable(file.name, error)) from error
    yield path


class NativeFile:
    """An open file whose numbers come as they are stored: nothing masked, scaled or converted."""

    def __init__(self, path: str) -> None:
        with _LIBRARY:
            self._dataset = netCDF4.Dataset(path, "r")
            self._dataset.set_auto_maskandscale(False)
            self._dataset.set_auto_chartostring(False)

    @property
    def dataset(self) -> netCDF4.Dataset:
        """The library's own object, for looking at structure."""
        return self._dataset

    def read(self, variable: str, index: tuple[slice | int, ...] | slice = slice(None)) -> np.ndarray[Any, Any]:
        """A hyperslab of the variable at the path `variable`, in native byte order."""
        with _LIBRARY:
            values = np.asarray(self._dataset[variable][index])
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def chunks(self, variable: str) -> tuple[int, ...] | None:
        """The stored chunk shape, None where storage is contiguous."""
        with _LIBRARY:
            chunks = self._dataset[variable].chunking()
        return None if chunks in (None, "contiguous") else tuple(chunks)

    def close(self) -> None:
        with _LIBRARY:
            if self._dataset.isopen():
                self._dataset.close()

    def __enter__(self) -> NativeFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def opened(file: ArchiveFile) -> Iterator[NativeFile]:
    """An archive file, open for reading. Raises InputError where it changed or cannot be read."""
    try:
        if is_remote(file.location):
            with local(file) as path, NativeFile(str(path)) as native:
                yield native
        else:
            with held(file.location, file.stamp, file.name), NativeFile(file.location) as native:
                yield native
    except OSError as error:
        raise InputError(unreadable(file.name, error)) from error
