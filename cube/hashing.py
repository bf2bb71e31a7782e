"""Canonical JSON and the hashes built on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no white space: equal values give equal bytes. NaN and infinities raise ValueError."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False, default=_plain)
    return text.encode()


def readable(value: Any) -> bytes:
    """JSON with sorted keys for objects that people read. NaN and infinities raise ValueError."""
    text = json.dumps(value, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False, default=_plain)
    return text.encode() + b"\n"


def sha256(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of a value."""
    return sha256(canonical(value))


def array_digest(values: np.ndarray[Any, Any]) -> str:
    """sha256 of an array's type, shape and values."""
    head = canonical([values.dtype.str, values.shape])
    return sha256(head + np.ascontiguousarray(values).tobytes())


def chain(base: str, identities: Iterable[str]) -> Iterator[str]:
    """The running key after `base` and after each identity.

    The last one is the key. Because each depends only on what came before, a key that occurs inside another chain
    tells that its identities are a prefix of the other's.
    """
    key = base
    yield key
    for identity in identities:
        key = sha256(f"{key}{identity}".encode())
        yield key
