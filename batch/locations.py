"""Where files and stores are: paths relative to the specification, and addresses."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HALF_SCHEME = re.compile(r"(s3|https?|file):(?!//)", re.IGNORECASE)
FILE_SCHEMES = ("file", "http", "https", "s3")
STORE_SCHEMES = ("file", "s3")


def resolve(text: str, folder: Path) -> str:
    """`text` as an absolute path or an address; relative paths start at `folder`, `~` is the home folder."""
    if text.startswith("file://"):
        return unquote(urlsplit(text).path)
    return text if _SCHEME.match(text) else str(folder / Path(text).expanduser())


def check_store(text: str) -> str:
    """Raises ValueError for a text that cannot be the place of a store."""
    scheme = _SCHEME.match(text)
    if _HALF_SCHEME.match(text):
        raise ValueError(f"{text!r} is no folder; a bucket is written s3://bucket/prefix")
    if scheme and scheme[1] not in STORE_SCHEMES:
        raise ValueError(f"a store is a folder or s3://bucket/prefix, found an address that begins with {scheme[0]}")
    if scheme and not text[scheme.end() :].strip("/"):
        raise ValueError(f"{text!r} names no bucket or folder")
    if re.search(r"[*?\r\n\t]", text):
        raise ValueError(f"a store is one folder or one s3://bucket/prefix, found {text!r}")
    return text


def pattern_problem(text: str) -> str | None:
    """Why a text cannot be a path or a glob pattern of files, None where it can."""
    scheme = _SCHEME.match(text)
    if not text.strip():
        return "an empty text is no path"
    if text != text.strip() or re.search(r"[\r\n\t]", text):
        return f"white space around or inside the path {text!r}"
    if _HALF_SCHEME.match(text):
        return f"{text!r} is no path; addresses begin like s3:// or https://"
    if scheme and scheme[1] not in FILE_SCHEMES:
        return f"files are read from disk, s3:// and https://, not from {scheme[0]}"
    if scheme and not text[scheme.end() :].strip("/"):
        return f"{text!r} names no bucket, host or folder"
    parts = text.split("/")
    if any("**" in part and part != "**" for part in parts):
        return "`**` stands for any number of folders and must be alone between slashes"
    if text.endswith("/") or parts[-1] == "**":
        return f"{text!r} names a folder; files are named by a pattern such as {text.rstrip('/*')}/*.nc"
    if text.count("{") != text.count("}"):
        return f"the braces of {text!r} do not pair"
    if not _brackets_pair(text):
        return f"a `[` of {text!r} has no `]`"
    return None


def _brackets_pair(text: str) -> bool:
    position = text.find("[")
    while position >= 0:
        # A `]` directly after `[` or `[!` belongs to the set.
        start = position + (2 if text[position + 1 : position + 2] == "!" else 1)
        end = text.find("]", start + 1)
        if end < 0:
            return False
        position = text.find("[", end)
    return True
