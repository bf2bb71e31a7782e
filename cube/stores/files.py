"""Files written so that a crash leaves the old one, the new one or an unfinished one under another name."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cube.errors import Problem, StoreError
from cube.stores import answers
from cube.stores.store import TEMPORARY

_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


@contextlib.contextmanager
def os_errors(where: str) -> Iterator[None]:
    """Turn the operating system's errors into StoreError."""
    try:
        yield
    except OSError as error:
        raise _store_error(error, where) from None


def _store_error(error: OSError, where: str) -> StoreError:
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return answers.store_full(reason, where)
    if error.errno in (errno.EACCES, errno.EPERM):
        fix = "run as a user who may, or change the folder's owner, mode or access list"
        return StoreError(Problem("store-permission", f"no permission ({reason})", where, fix=fix))
    if error.errno == errno.EROFS:
        fix = "mount the file system for writing, or choose another place for `store:`"
        return StoreError(Problem("store-read-only", f"the file system is read-only ({reason})", where, fix=fix))
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY):
        fix = "remove what stands in the way, or choose another place for `store:`"
        return StoreError(Problem("store-clash", f"a file and a folder of one name ({reason})", where, fix=fix))
    fix = "check the disk and its mount, then run the same command again; it goes on where it stopped"
    return StoreError(Problem("store-io", f"the file system failed ({reason})", where, fix=fix))


def file_status(path: Path) -> os.stat_result | None:
    """What is known of a regular file; None where there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def read_slice(path: Path, start: int | None, stop: int | None) -> bytes | None:
    """The bytes [start:stop] of a regular file; None where there is none. Raises OSError for a file cut short."""
    try:
        # O_NONBLOCK: opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        wanted = range(status.st_size)[start:stop]
        data = os.pread(descriptor, len(wanted), wanted.start)
        while len(data) < len(wanted):
            more = os.pread(descriptor, len(wanted) - len(data), wanted.start + len(data))
            if not more:
                raise OSError(errno.ENODATA, "the file was cut short while it was read")
            data += more
        return data
    finally:
        os.close(descriptor)


def write_beside(path: Path, data: bytes | memoryview) -> Path:
    """A new file in the folder of `path` that holds `data`, flushed to the disk. Its mode follows the umask."""
    temporary, descriptor = _begin(path.parent, _create)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            rest = memoryview(data).cast("B")
            while rest:
                rest = rest[os.write(file.fileno(), rest) :]
            os.fsync(file.fileno())
    except BaseException:
        discard(temporary)
        raise
    return temporary


def link_beside(path: Path, source: Path) -> Path:
    """A new name in the folder of `path` for the file `source`; a copy of it where there can be no hard link."""
    try:
        return _begin(path.parent, lambda name: os.link(source, name))[0]
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    temporary, descriptor = _begin(path.parent, _create)
    try:
        with os.fdopen(descriptor, "wb") as file, source.open("rb") as original:
            shutil.copyfileobj(original, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        discard(temporary)
        raise
    return temporary


def link_new(temporary: Path, path: Path) -> bool | None:
    """Give a finished file its name unless the name is taken; None where the file system has no hard links."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        # A network file system repeats a request whose answer was lost, and then finds its own link.
        return temporary.stat().st_nlink == 2
    except OSError as error:
        if error.errno in _NO_LINKS:
            return None
        raise
    return True


def discard(temporary: Path) -> None:
    """Delete an unfinished file if it is still there."""
    with contextlib.suppress(OSError):
        temporary.unlink()


def flush_folder(folder: Path) -> None:
    """Flush a folder's names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock on the file `path`, made if absent; yields False where the file system has no locks."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        held = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            held = False
        yield held
    finally:
        os.close(descriptor)


def clock(folder: Path) -> float:
    """The time by which the file system of `folder` stamps files, which is a server's for one on the network."""
    try:
        temporary, descriptor = _begin(folder, _create)
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return time.time()  # who may only look sweeps nothing
        raise
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        discard(temporary)


def unfinished(folder: Path) -> Iterator[tuple[Path, os.stat_result, float]]:
    """Files below `folder` that were not given their names yet, and when something was last done to each."""
    try:
        folder_changed = folder.stat().st_mtime
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda one: one.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        with contextlib.suppress(FileNotFoundError):
            if entry.is_dir(follow_symlinks=False):
                yield from unfinished(folder / entry.name)
            elif entry.name.startswith(TEMPORARY) and entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                # A new link has its source's time of writing; it was made when its folder was changed, or before.
                linked = min(status.st_ctime, folder_changed)
                yield folder / entry.name, status, max(status.st_mtime, linked)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, flushed to the disk."""
    absent = []
    while not folder.is_dir():
        absent.append(folder)
        folder = folder.parent
    for one in reversed(absent):
        one.mkdir(exist_ok=True)
        flush_folder(one.parent)


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _begin[T](folder: Path, make: Callable[[Path], T]) -> tuple[Path, T]:
    # A delete in another process removes folders that it has emptied, perhaps this one between two steps.
    for attempt in range(50):
        temporary = folder / f"{TEMPORARY}{secrets.token_hex(8)}"
        try:
            make_folder(folder)
            return temporary, make(temporary)
        except FileNotFoundError:
            if attempt == 49:
                raise
    raise AssertionError("unreachable")
