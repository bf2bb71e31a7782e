"""What an HTTP request to a cube may name, and which bytes of it are wanted."""

from __future__ import annotations

import re
import urllib.parse

_VERSION = re.compile(r"[0-9a-f]{12}-\d+")
_UNSEALED = {"ledger", "tmp"}


def served_key(target: str) -> tuple[str, ...] | None:
    """The key, split, that a request target names; None where nothing may be served under it."""
    path = target if target.startswith("/") else urllib.parse.urlsplit(target).path
    try:
        path = urllib.parse.unquote(path.partition("?")[0].partition("#")[0], errors="strict")
    except UnicodeDecodeError:
        return None
    if path == "/":
        return ("catalog.json",)
    parts = tuple(path.split("/")[1:])
    # Dot files are hidden, and with them "." and "..".
    if any(not part or part.startswith(".") or "\\" in part or not part.isprintable() for part in parts):
        return None
    match parts:
        case ("catalog.json",) | (_, "collection.json"):
            return parts
        case (_, product, name) if name == f"{product}.json":
            return parts
        # By position, because a variable may well be called `tmp`.
        case (_, _, version, first, *_) if _VERSION.fullmatch(version) and first not in _UNSEALED:
            return parts
    return None


def content_type(key: tuple[str, ...]) -> str:
    if len(key) == 3:
        return "application/geo+json"
    suffix = key[-1].rpartition(".")[2]
    return {"json": "application/json", "parquet": "application/vnd.apache.parquet"}.get(
        suffix, "application/octet-stream"
    )


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """[start, stop) of a `Range` header, or None where all is to be sent.

    Other units, several ranges and malformed headers are ignored, as RFC 9110 allows. Raises ValueError for a range
    that lies outside.
    """
    match = re.fullmatch(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", header or "", re.ASCII | re.IGNORECASE)
    if not match or match[1] == match[2] == "":
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        stop = min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= size:
        raise ValueError(header)
    return start, stop


def names(header: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names the entity tag (weak comparison)."""
    if header is None:
        return False
    return header.strip() == "*" or etag in re.findall(r'"[^"]*"', header)
