"""A store in a directory: whole files or none, whatever is killed when."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from cube.errors import Problem, StoreError
from cube.stores import answers
from cube.stores.files import (
    clock,
    discard,
    file_status,
    flush_folder,
    link_beside,
    link_new,
    locked,
    make_folder,
    os_errors,
    read_slice,
    unfinished,
    write_beside,
)
from cube.stores.ranges import check_slice
from cube.stores.store import COMPARE_LOCK, TEMPORARY, Leftover, ObjectInfo, check_key, check_leftover

# On network file systems a lock belongs to the process, so its threads are kept apart by one of their own.
_comparing = threading.Lock()


def _new_comparing() -> None:
    global _comparing
    _comparing = threading.Lock()


os.register_at_fork(after_in_child=_new_comparing)


class DirectoryStore:
    """A store below a directory. See `Store` for the methods' contract.

    An object is written to a file of another name in the same folder (`TEMPORARY` and random letters), flushed to the
    disk and renamed; a file left by a killed process keeps that name and is never an object. `put_if_unchanged` makes a
    new object by a hard link, which fails where the name is taken, and replaces one under a lock on a file of its own
    (`COMPARE_LOCK` in the root, never deleted): the kernel frees it when the holder dies, and reading, comparing and
    renaming are one step for all who take it. Symbolic links may not lead out of the directory.
    """

    def __init__(self, root: str | Path, public_url: str | None = None) -> None:
        self.root = Path(root).expanduser().absolute()
        self.public_url = public_url

    @property
    def url(self) -> str:
        return self.root.as_uri()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DirectoryStore) and (self.root, self.public_url) == (other.root, other.public_url)

    def __hash__(self) -> int:
        return hash((self.root, self.public_url))

    def __repr__(self) -> str:
        return f"DirectoryStore({str(self.root)!r})"

    def public_href(self, key: str) -> str:
        return f"{self.public_url}/{quote(check_key(key))}" if self.public_url else self._where(check_key(key))

    def _where(self, key: str) -> str:
        return str(self.root / key)

    def _file(self, key: str) -> Path:
        """The file to read, links followed."""
        root = Path(os.path.realpath(self.root))
        return self._inside(root, Path(os.path.realpath(root / check_key(key))), key)

    def _place(self, key: str) -> Path:
        """The name to write or delete; a link in the last place is not followed but replaced."""
        root = Path(os.path.realpath(self.root))
        path = root / check_key(key)
        self._inside(root, Path(os.path.realpath(path.parent)), key)
        return path

    def _inside(self, root: Path, real: Path, key: str) -> Path:
        if not real.is_relative_to(root):
            raise StoreError(
                Problem(
                    "store-outside",
                    "a symbolic link leads out of the store",
                    self._where(key),
                    "readers would be given files that are not part of the store, or writers would change them",
                    "replace the link by what it points to",
                )
            )
        return real

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes:
        check_slice(start, stop)
        where = self._where(key)
        with os_errors(where):
            data = read_slice(self._file(key), start, stop)
        if data is None:
            raise answers.missing(where)
        return data

    def head(self, key: str) -> ObjectInfo | None:
        with os_errors(self._where(key)):
            status = file_status(self._file(key))
        if status is None:
            return None
        return ObjectInfo(status.st_size, f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}")

    def put(self, key: str, data: bytes | memoryview, *, immutable: bool = True) -> None:
        with os_errors(self._where(key)):
            path = self._place(key)
            self._rename(write_beside(path, data), path)

    def _rename(self, temporary: Path, path: Path) -> None:
        try:
            temporary.replace(path)
            flush_folder(path.parent)
        finally:
            # Renaming onto another name of the same file leaves both.
            discard(temporary)

    def put_if_unchanged(self, key: str, data: bytes, expected: bytes | None) -> bool:
        with os_errors(self._where(key)):
            path = self._place(key)
            temporary = write_beside(path, data)
            try:
                done = link_new(temporary, path) if expected is None else None
                if done is None:
                    with self._alone():
                        done = self._content(key) == expected
                        if done:
                            temporary.replace(path)
                if done:
                    flush_folder(path.parent)
            finally:
                discard(temporary)
        return done

    def _content(self, key: str) -> bytes | None:
        return None if self.head(key) is None else self.get(key)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        with _comparing, locked(self.root / COMPARE_LOCK) as held:
            yield held

    @property
    def conditional(self) -> bool:
        with os_errors(str(self.root)):
            make_folder(self.root)
            with self._alone() as held:
                return held

    def copy(self, source: str, target: str) -> None:
        check_key(target)
        if self.head(source) is None:
            raise answers.missing(self._where(source))
        with os_errors(self._where(target)):
            path = self._place(target)
            self._rename(link_beside(path, self._file(source)), path)

    def delete(self, key: str) -> None:
        with os_errors(self._where(key)):
            path = self._place(key)
            self._unlink(path)

    def _unlink(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
        # Object stores have no empty folders.
        root = Path(os.path.realpath(self.root))
        with contextlib.suppress(OSError):
            for folder in path.parents:
                if folder == root:
                    break
                folder.rmdir()

    def expect(self, keys: Iterable[str]) -> None:
        pass  # what is written is there

    def leftovers(self, prefix: str) -> Iterator[Leftover]:
        folder = prefix.rstrip("/")
        with os_errors(self._where(folder)):
            if not self.root.is_dir():
                return
            now, top = clock(self.root), self._file(folder) if folder else self.root
            for path, status, changed in unfinished(top):
                key = "/".join(filter(None, [folder, path.relative_to(top).as_posix()]))
                yield Leftover(key, status.st_size, max(0.0, now - changed))

    def sweep(self, leftover: Leftover) -> None:
        key = check_leftover(leftover.key)
        with os_errors(self._where(key)):
            root = Path(os.path.realpath(self.root))
            path = root / key
            self._inside(root, Path(os.path.realpath(path.parent)), key)
            self._unlink(path)

    def walk(self, prefix: str) -> Iterator[str]:
        folder = prefix.rstrip("/")
        with os_errors(self._where(folder)):
            yield from _walk(self._file(folder) if folder else self.root, f"{folder}/" if folder else "")


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not entry.name.startswith((TEMPORARY, COMPARE_LOCK))]
    except (FileNotFoundError, NotADirectoryError):
        return
    # In the order of whole keys: a folder sorts as its name with "/".
    for entry in sorted(found, key=lambda one: one.name + "/" * one.is_dir(follow_symlinks=False)):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            yield prefix + entry.name
