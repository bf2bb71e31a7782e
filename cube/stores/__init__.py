"""Stores: a directory, an object store that speaks S3, or a web address to read from.

`open_store` gives the one that an address names. Everything above works with the `Store` protocol alone.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from cube.errors import Problem, SpecError
from cube.stores.directory import DirectoryStore
from cube.stores.storage import Storage
from cube.stores.store import Leftover, ObjectInfo, Store, check_key

__all__ = ["Leftover", "ObjectInfo", "Storage", "Store", "check_key", "open_store"]


def open_store(url: str | Path, storage: Storage | None = None) -> Store:
    """The store at a directory, `file:///...`, `s3://bucket/prefix` or `https://...` (read-only).

    Nothing is read or made. Raises SpecError for other addresses and for one that holds a secret.
    """
    scheme, separator, rest = str(url).partition("://")
    if isinstance(url, Path) or not separator:
        return DirectoryStore(url, storage.public_url if storage else None)
    # Clients are imported when they are needed: they take longer than everything else.
    if scheme == "s3":
        from cube.stores.s3 import S3Store

        return S3Store(str(url), storage)
    if scheme in ("http", "https"):
        from cube.stores.http import HttpStore

        return HttpStore(str(url))
    if scheme == "file" and rest.startswith("/"):
        return DirectoryStore(url2pathname(urlsplit(str(url)).path), storage.public_url if storage else None)
    raise SpecError(
        Problem(
            "store-url",
            f"a store cannot have an address that begins with {scheme[:20]}://",
            "store",
            fix="give a directory, s3://bucket/prefix or, to read only, https://...",
        )
    )
