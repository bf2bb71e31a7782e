"""numba's decorators for the compiled part of the column."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

# numba keeps what it has compiled until the file of the function changes, but parts are inlined from other files.
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of scalars that becomes part of the compiled functions that call it."""
    made: Callable[..., Any] = numba.njit(error_model="numpy", nogil=True, forceinline=True)(function)
    return made


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is compiled once on a machine, and again when any file of this package has changed."""
    function.__qualname__ += f"_{SOURCES[:12]}"
    made: Callable[..., Any] = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return made
