"""Compare-and-set by conditional PUT, and finding out whether a server keeps the conditions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from cube.errors import MissingObjectError
from cube.stores.s3_connection import Conditional, StatusError
from cube.stores.s3_object import S3Object

_REFUSED = (400, 405, 409, 412, 501)


def put_if_unchanged(
    target: S3Object, data: bytes, expected: bytes | None, headers: dict[str, str], kept: Conditional
) -> bool:
    """See `Store.put_if_unchanged`.

    kept  the conditions that the server keeps; the others are compared here, in two steps
    """
    held = target.read_or_none() if expected is not None or not kept.create else None
    if (held[0] if held else None) != expected:
        return False
    if held is None and kept.create:
        return accepted(target, data, headers, {"IfNoneMatch": "*"})
    if held is not None and kept.replace:
        return accepted(target, data, headers, {"IfMatch": held[1]})
    target.write(data, headers)
    return _holds(target, data)


def accepted(
    target: S3Object, data: bytes, headers: dict[str, str], condition: dict[str, str], seen: tuple[int, ...] = (412,)
) -> bool:
    """Whether a conditional PUT was done.

    seen  statuses by which a server refuses it
    """
    try:
        target.write(data, headers | condition, seen)
    except StatusError as error:
        if error.status == 412 and "IfNoneMatch" in condition:
            # The object is there, whatever a read that lags behind says.
            target.connection.note_written(target.where)
        # An attempt whose answer was lost may have been ours.
        return _holds(target, data)
    except MissingObjectError:
        return False  # If-Match, and it has been deleted since
    return True


def probe(target: S3Object) -> Conditional:
    """Find out which conditions hold on an object of our own: of two writers at once, just one may be accepted."""

    def one_wins(first: bytes, second: bytes, **condition: str) -> bool:
        with ThreadPoolExecutor(2) as pool:
            return sum(pool.map(lambda data: accepted(target, data, {}, condition, _REFUSED), (first, second))) == 1

    try:
        create = one_wins(b"1", b"2", IfNoneMatch="*")
        target.write(b"3", {})
        replace = one_wins(b"4", b"5", IfMatch=target.read()[1])
    finally:
        target.remove()
    return Conditional(create, replace)


def _holds(target: S3Object, data: bytes) -> bool:
    held = target.read_or_none()
    return held is not None and held[0] == data
