"""Which files a product names: glob patterns on disk and on object stores, and addresses on the web."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cube.errors import Problem
from cube.stores import Storage, open_store

_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Found:
    """A file to be looked at.

    location  absolute path or URL;  name  relative to the part of the patterns that is fixed, with "/"
    storage   how a remote file is reached
    """

    location: str
    name: str
    storage: Storage | None = None


def discover(patterns: Sequence[str], base: Path, storage: Storage | None = None) -> list[Found]:
    """All files that the patterns name, sorted by name, each once.

    patterns  paths relative to `base`, glob patterns with `**`, `s3://bucket/patterns`, `http(s)://` addresses
    storage   how remote files are reached

    A pattern that matches nothing stands in the result for itself: `inspect` reports it with all other problems.
    """
    locations: dict[str, str] = {}
    for pattern in patterns:
        where = pattern if "://" in pattern else os.path.normpath(base.absolute() / pattern)
        locations |= dict.fromkeys(_matches(where, storage) or [where], _fixed(where))
    start = _common(sorted(set(locations.values())))
    files = [Found(each, each[len(start) :], storage if "://" in each else None) for each in locations]
    return sorted(files, key=lambda each: each.name)


def nothing(found: Found) -> Problem | None:
    """The problem of a pattern that matched no file, None for a file."""
    if not _MAGIC.search(found.location) or Path(found.location).exists():
        return None
    return Problem(
        "files-none",
        f"no file matches {found.location}",
        "files",
        "an archive that is not mounted looks like an empty one",
        "mount the archive, or correct `files` (paths are relative to the specification's folder)",
    )


def _matches(where: str, storage: Storage | None) -> list[str]:
    if where.startswith(("http://", "https://")):
        return [where]
    if where.startswith("s3://"):
        return _objects(where, storage) if _MAGIC.search(where) else [where]
    if not _MAGIC.search(where):
        return [where]
    found = glob.glob(where, recursive=True)  # noqa: PTH207 - keeps links
    return [each for each in found if not os.path.isdir(each)]  # noqa: PTH112 - a Path takes longer than the disk


def _objects(pattern: str, storage: Storage | None) -> list[str]:
    bucket = f"s3://{urlsplit(pattern).netloc}"
    keys = pattern[len(bucket) + 1 :]
    matching = re.compile(translate(keys))
    folder = _fixed(keys).rstrip("/")
    return [f"{bucket}/{key}" for key in open_store(bucket, storage).walk(folder) if matching.fullmatch(key)]


def translate(pattern: str) -> str:
    """A regular expression for a glob pattern of keys: `*` and `?` stay within a folder, `**/` spans folders."""
    parts = {"**/": r"(?:[^/]+/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^\]]+\])", pattern)
    return "".join(
        parts.get(piece) or (piece.replace("[!", "[^") if piece.startswith("[") else re.escape(piece))
        for piece in pieces
    )


def fixed_folder(pattern: str, base: Path) -> Path:
    """The folder on disk that a pattern begins with, up to its first wildcard."""
    return Path(_fixed(os.path.normpath(base.absolute() / pattern)))


def _fixed(where: str) -> str:
    """The folder in front of the first part that holds a wildcard or names the file, with its "/"."""
    match = _MAGIC.search(where)
    head = where[: match.start()] if match else where
    return head[: head.rfind("/") + 1]


def _common(folders: list[str]) -> str:
    """The deepest folder, with its "/", that is in front of all; "" where there is none."""
    parts = [folder.split("/")[:-1] for folder in folders]
    shared = [each[0] for each in itertools.takewhile(lambda each: len(set(each)) == 1, zip(*parts, strict=False))]
    return "".join(f"{part}/" for part in shared)
