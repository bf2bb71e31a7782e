"""Zarr arrays of a store, opened by zarr-python for reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import NoReturn, Protocol

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.abc.store import Store as ZarrStore
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.core.buffer.core import default_buffer_prototype

from cube.errors import MissingObjectError
from cube.stores.http import HttpStore
from cube.stores.store import ObjectInfo


class Readable(Protocol):
    """What of a store is needed to read arrays."""

    @property
    def url(self) -> str: ...
    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes: ...
    def head(self, key: str) -> ObjectInfo | None: ...
    def walk(self, prefix: str) -> Iterator[str]: ...


class ZarrReader(ZarrStore):
    """What lies below `prefix` of a store, as a read-only Zarr store: `zarr.open_group(ZarrReader(store, "a/b.zarr"))`.

    A missing object is None, as zarr expects; any other failure is a StoreError. Picklable where the store is.
    """

    def __init__(self, store: Readable, prefix: str) -> None:
        super().__init__(read_only=True)
        self.store = store
        self.prefix = prefix.strip("/")

    def with_read_only(self, read_only: bool = False) -> ZarrReader:
        if not read_only:
            self._refuse()
        return ZarrReader(self.store, self.prefix)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ZarrReader) and (self.store, self.prefix) == (other.store, other.prefix)

    def __hash__(self) -> int:
        return hash((self.store, self.prefix))

    def __str__(self) -> str:
        return f"{self.store.url}/{self.prefix}"

    def __repr__(self) -> str:
        return f"ZarrReader({str(self)!r})"

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}".strip("/")

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        start, stop = _slice(byte_range)
        try:
            data = self.store.get(self._key(key), start, stop)
        except MissingObjectError:
            return None
        return (prototype or default_buffer_prototype()).buffer.from_bytes(data)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        return await asyncio.to_thread(self.get_sync, key, prototype=prototype, byte_range=byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return list(await asyncio.gather(*(self.get(key, prototype, wanted) for key, wanted in key_ranges)))

    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(self.store.head, self._key(key)) is not None

    async def getsize(self, key: str) -> int:
        info = await asyncio.to_thread(self.store.head, self._key(key))
        if info is None:
            raise FileNotFoundError(key)
        return info.bytes

    @property
    def supports_writes(self) -> bool:
        return False

    @property
    def supports_deletes(self) -> bool:
        return False

    @property
    def supports_listing(self) -> bool:
        return not isinstance(self.store, HttpStore)

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        # Every caller of zarr's gives a folder; a prefix that ends inside a name is filtered below.
        folder = prefix.rpartition("/")[0]
        keys = await asyncio.to_thread(lambda: list(self.store.walk(self._key(folder))))
        for key in keys:
            relative = key.removeprefix(self.prefix).lstrip("/")
            if relative.startswith(prefix):
                yield relative

    async def list(self) -> AsyncIterator[str]:
        async for key in self.list_prefix(""):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        seen = set()
        async for key in self.list_prefix(folder):
            name = key.removeprefix(folder).partition("/")[0]
            if name not in seen:
                seen.add(name)
                yield name

    async def set(self, key: str, value: Buffer) -> None:
        self._refuse()

    async def delete(self, key: str) -> None:
        self._refuse()

    # zarr reads without its event loop only where a store has all three.
    def set_sync(self, key: str, value: Buffer) -> None:
        self._refuse()

    def delete_sync(self, key: str) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ValueError("a ZarrReader is for reading; blocks are written as whole objects of the store")


def _slice(wanted: ByteRequest | None) -> tuple[int | None, int | None]:
    if isinstance(wanted, RangeByteRequest):
        return wanted.start, wanted.end
    if isinstance(wanted, OffsetByteRequest):
        return wanted.offset, None
    if isinstance(wanted, SuffixByteRequest):
        # A suffix of nothing is not the whole object.
        return (-wanted.suffix, None) if wanted.suffix else (0, 0)
    return None, None
