"""Byte ranges as slices, and the proof that an answer holds what was asked for."""

from __future__ import annotations

import re


def check_slice(start: int | None, stop: int | None) -> None:
    """Raises ValueError for a negative stop and for a suffix with a stop."""
    if stop is not None and (stop < 0 or (start or 0) < 0):
        raise ValueError(f"a range is [start:stop], [start:] or a suffix [-n:], found [{start}:{stop}]")


def is_empty(start: int | None, stop: int | None) -> bool:
    """True where the slice is empty whatever the object."""
    return stop is not None and stop <= (start or 0)


def range_header(start: int | None, stop: int | None) -> str | None:
    """The value of HTTP's Range for a slice that is not empty; None for the whole object."""
    if start and start < 0:
        return f"bytes={start}"
    if stop is not None:
        return f"bytes={start or 0}-{stop - 1}"
    return f"bytes={start}-" if start else None


def cut(body: bytes, start: int | None, stop: int | None, content_range: str | None) -> bytes | None:
    """The slice asked for, out of an answer's body; None where the body is not what the answer says it is.

    content_range  the answer's Content-Range; None where the server sent the whole object
    """
    if content_range is None:
        return body[start:stop]
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", content_range.strip())
    if not match:
        return None
    first, last = int(match[1]), int(match[2])
    if len(body) != last - first + 1:
        return None
    if match[3] != "*":
        wanted = range(int(match[3]))[start:stop]
        if (first, last) != (wanted.start, wanted.stop - 1):
            return None
    return body
