"""Archive files on object stores and web servers: fetched whole, once, into a scratch folder, and proven by sha256."""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from cube.errors import InputError, MissingObjectError, Problem, StoreError
from cube.stores import ObjectInfo, Storage, Store, open_store
from ingest.archive import ArchiveFile

PART_BYTES = 32 * 2**20
"""What is held in memory of a file that is being fetched."""

SCRATCH_BYTES = 20 * 2**30
"""Fetched files are kept up to this total; the ones unused for longest go first."""

_IN_USE_SECONDS = 600.0


def place(location: str, storage: Storage | None) -> tuple[Store, str]:
    """The store and key of `s3://bucket/key` or `http(s)://host/folder/name`."""
    parts = urlsplit(location)
    if parts.scheme == "s3":
        return open_store(f"s3://{parts.netloc}", storage), parts.path.lstrip("/")
    folder, _, name = location.rpartition("/")
    return open_store(folder, storage), name


def information(location: str, storage: Storage | None) -> ObjectInfo | None:
    """Size and ETag of a remote file, None where there is none. Raises PermissionError, StoreError."""
    store, key = place(location, storage)
    with _as_files_fail():
        return store.head(key)


@contextmanager
def _as_files_fail() -> Iterator[None]:
    """What a server says of one file, as the OSError of a file system; StoreError where the server itself fails."""
    try:
        yield
    except MissingObjectError:
        raise FileNotFoundError(errno.ENOENT, "no such object") from None
    except StoreError as error:
        if error.problems[0].code != "store-permission":
            raise
        raise PermissionError(errno.EACCES, "refused") from None


def stamp_of(info: ObjectInfo) -> tuple[int | str, ...]:
    """What changes when a remote file does."""
    return (info.bytes, info.etag or "")


def scratch_folder() -> Path:
    """Where fetched files are kept: CUBE_SCRATCH, else a folder of this user's in the system's temporary one."""
    chosen = os.environ.get("CUBE_SCRATCH")
    folder = Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"climate-impact-cube-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not chosen and folder.stat().st_uid != os.getuid():
        # Somebody else made it: what it holds cannot be trusted.
        return Path(tempfile.mkdtemp(prefix="climate-impact-cube-"))
    return folder


def download(location: str, storage: Storage | None, size: int) -> tuple[Path, str]:
    """Fetch a file of `size` bytes; its path in the scratch folder, named by its sha256, and that sha256.

    Raises OSError where it is gone or may not be read, StoreError where the server fails.
    """
    store, key = place(location, storage)
    folder = scratch_folder()
    _make_room(folder, size)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".fetching-", delete=False) as file:
        try:
            for start in range(0, size, PART_BYTES):
                with _as_files_fail():
                    part = store.get(key, start, min(start + PART_BYTES, size))
                digest.update(part)
                file.write(part)
            file.close()
            path = folder / digest.hexdigest()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return path, digest.hexdigest()


def fetched(file: ArchiveFile) -> Path:
    """A local copy of a remote file whose sha256 is proven.

    Raises InputError where the file is no longer the same, and as `download` does.
    """
    path = scratch_folder() / file.sha256
    if not _is_kept(path, file):
        path, sha256 = download(file.location, file.storage, file.bytes)
        info = information(file.location, file.storage)
        if sha256 != file.sha256 or info is None or info.bytes != file.bytes:
            raise InputError(
                Problem(
                    "input-moved",
                    "the file changed while it was being used",
                    file.name,
                    "old and new values would be mixed in one product",
                    "wait until the archive is at rest, then run the same command again",
                )
            )
    return path


def _is_kept(path: Path, file: ArchiveFile) -> bool:
    """Whether the scratch folder holds the file, whole: a power cut may have left a copy that is shorter, or zeros."""
    try:
        os.utime(path)  # in use: not to be removed
        status = path.stat()
        return status.st_size == file.bytes and _sha256(path, status.st_ino) == file.sha256
    except FileNotFoundError:
        return False


@functools.lru_cache(maxsize=2**16)
def _sha256(path: Path, inode: int) -> str:
    """Of a copy, which nobody changes: read whole once a process."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make_room(folder: Path, size: int) -> None:
    kept = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            status = path.stat()
            kept.append((status.st_mtime, status.st_size, path))
    excess = sum(each[1] for each in kept) + size - SCRATCH_BYTES
    for modified, length, path in sorted(kept):
        if excess <= 0 or modified > time.time() - _IN_USE_SECONDS:
            break
        path.unlink(missing_ok=True)
        excess -= length
