"""What a store is: objects by key, written whole, compared and set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from cube.errors import Problem, StoreError

TEMPORARY = ".tmp-"
"""Names of unfinished files in a directory store begin so; no key may."""

COMPARE_LOCK = ".compare-and-set"
"""Name of the file that a directory store locks while it compares and sets; no key may use it."""


@dataclass(frozen=True)
class ObjectInfo:
    """What a store tells about an object without reading it.

    bytes  its size
    etag   changes whenever the content does; None where the server gives none. Opaque
    """

    bytes: int
    etag: str | None


@dataclass(frozen=True)
class Leftover:
    """What a killed writer left: no object, in no `walk`, but it takes space.

    key          of the unfinished file; of the object that an upload was to become
    bytes        that it takes
    age_seconds  since something was last added to it, by the clock of the store
    id           of the upload; "" where it is none
    """

    key: str
    bytes: int
    age_seconds: float
    id: str = ""


class Store(Protocol):
    """Where a cube lives. Instances are immutable, picklable and safe in threads, forked and spawned processes.

    Keys are "/"-separated and relative (see `check_key`). All methods raise StoreError where the store cannot be
    reached, refuses, is full or is read-only.
    """

    @property
    def url(self) -> str:
        """ "file:///...", "s3://bucket/prefix" or "https://..."; never holds secrets."""
        ...

    @property
    def conditional(self) -> bool:
        """Whether `put_if_unchanged` is atomic among all writers. On S3 the first call asks the server."""
        ...

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes:
        """The object's bytes, or those of the slice [start:stop] as Python cuts it; a negative start is a suffix.

        A transfer that ends early is never returned. Raises MissingObjectError, and ValueError for a negative stop or
        a suffix with a stop.
        """
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """Size and etag, or None where there is no such object."""
        ...

    def put(self, key: str, data: bytes | memoryview, *, immutable: bool = True) -> None:
        """Write a whole object; readers see the old content or the new one, nothing else.

        immutable  the key will never hold anything else, so that caches may keep it for ever
        """
        ...

    def put_if_unchanged(self, key: str, data: bytes, expected: bytes | None) -> bool:
        """Write `data` if the object holds `expected` (None = there is none); False if it holds anything else.

        Writers that must know which of them won put something of their own into `data`: two that write equal bytes
        may both be told True. Atomic where `conditional` says so.
        """
        ...

    def copy(self, source: str, target: str) -> None:
        """Copy inside the store by a hard link, or by the server. Raises MissingObjectError."""
        ...

    def delete(self, key: str) -> None:
        """Delete an object; an absent one is fine."""
        ...

    def walk(self, prefix: str) -> Iterator[str]:
        """Keys below the folder `prefix` ("" = all), sorted. A listing may lag behind: nothing may rest on it."""
        ...

    def expect(self, keys: Iterable[str]) -> None:
        """Other processes have just written these objects: for a while, one that is not found is waited for."""
        ...

    def leftovers(self, prefix: str) -> Iterator[Leftover]:
        """What killed writers left below the folder `prefix` ("" = all), and what others are writing just now.

        Only its age tells which of both.
        """
        ...

    def sweep(self, leftover: Leftover) -> None:
        """Remove a leftover; one that is gone is fine."""
        ...

    def public_href(self, key: str) -> str:
        """What a reader without this package opens."""
        ...


def check_key(key: str) -> str:
    """`key` if every store can hold it, so that none can be led out of its root.

    Raises StoreError for empty, absolute or overlong keys, for ".", ".." and empty parts, backslashes, control
    characters and the stores' own file names.
    """
    parts = key.split("/")
    complaint = None
    if not all(parts):
        complaint = "it has an empty part"
    elif any(part in (".", "..") for part in parts):
        complaint = 'it has a part "." or ".."'
    elif any(part.startswith(TEMPORARY) or part == COMPARE_LOCK for part in parts):
        complaint = "it has a name reserved for the store's own files"
    elif "\\" in key or any(ord(character) < 32 or ord(character) == 127 for character in key):
        complaint = "it has a backslash or a control character"
    elif any("\ud800" <= character <= "\udfff" for character in key):
        complaint = "it is not Unicode"
    elif len(key.encode()) > 1000 or any(len(part.encode()) > 255 for part in parts):
        complaint = "it is longer than 1000 bytes, or a part is longer than 255"
    if complaint:
        raise StoreError(
            Problem(
                "key-invalid",
                f"not a key: {complaint}",
                repr(key[:200]),
                "such a name could lead out of the store, or exist in one kind of store only",
                'use relative names of parts joined by "/"',
            )
        )
    return key


def check_leftover(key: str) -> str:
    """`key` if it is the name of an unfinished file, so that nothing else is ever swept. Raises StoreError."""
    folder, slash, name = key.rpartition("/")
    if not name.startswith(TEMPORARY):
        raise StoreError(Problem("key-invalid", "not the name of an unfinished file", repr(key[:200])))
    check_key(folder + slash + name.removeprefix(TEMPORARY))
    return key
