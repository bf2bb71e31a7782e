"""What pictures and explanations are asked for, as people write it: places, areas, years and files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from cube.errors import InputError, Problem, RequestError, WriteError

When = int | str | tuple[int, int] | None
Area = tuple[float, float, float, float]
"""West, south, east and north in degrees."""


def place_of(given: Any) -> tuple[float, float]:
    """Latitude and longitude, degrees. Raises InputError for what is no pair of numbers."""
    found = _numbers(given, 2)
    if found is None or not (-90 <= found[0] <= 90 and -360 <= found[1] <= 360):
        fix = "give (latitude, longitude) in degrees, such as (9.06, 7.49)"
        raise InputError(Problem("place-unknown", f"{given!r} is no place", "place", fix=fix))
    return found[0], found[1]


def area_of(given: Any) -> Area | None:
    """Edges of an area, None for all. Raises InputError for what is no area, or one without extent."""
    if given is None:
        return None
    found = _numbers(given, 4)
    if found is not None:
        west, south, east, north = found
        if -360 <= west < east <= 360 and east - west <= 360 and -90 <= south < north <= 90:
            return west, south, east, north
    fix = "give (west, south, east, north) in degrees, such as (-20, 0, 20, 20), west and south being less"
    raise InputError(Problem("area-unknown", f"{given!r} is no area", "area", fix=fix))


def when_of(given: Any) -> When:
    """A year, a text or two years. Raises InputError for what is none of them."""
    if given is None or isinstance(given, str):
        return given
    if _whole(given):
        return int(given)
    if isinstance(given, Sequence) and len(given) == 2 and all(map(_whole, given)):
        return int(given[0]), int(given[1])
    raise InputError(_unread("when", given, 'a year, a text such as "2003-07", or (first, last) years'))


def year_of(given: Any) -> int:
    """A year. Raises InputError for what is no whole number."""
    if _whole(given):
        return int(given)
    raise InputError(_unread("year", given, "a year, such as 2003"))


def target_of(given: Any) -> Path | None:
    """A file to be written, None for none. Raises RequestError for what is no file in a folder that exists."""
    if given is None:
        return None
    problems = list(_faults(given))
    if problems:
        raise RequestError(problems)
    return Path(given)


def write(target: Path, content: bytes) -> None:
    """Write a file. Raises WriteError where that fails."""
    try:
        target.write_bytes(content)
    except OSError as error:
        what = f"it cannot be written: {error.strerror}"
        fix = "name a file in a folder that may be written to"
        raise WriteError(Problem("picture-target", what, str(target), fix=fix)) from None


def _faults(given: Any) -> Iterator[Problem]:
    if not isinstance(given, str | os.PathLike) or "\0" in str(given) or not str(given):
        yield Problem("picture-target", f"{given!r} is no name of a file", "path", fix='give one, such as "west.png"')
        return
    target = Path(given)
    try:
        folder, within = target.is_dir(), target.parent.is_dir()
    except OSError as error:
        what = f"it cannot be looked at: {error.strerror}"
        yield Problem("picture-target", what, str(target), fix="name a file in another folder")
        return
    if folder:
        yield Problem("picture-target", "it is a folder", str(target), fix="name a file in it")
    elif not within:
        yield Problem("picture-target", "its folder does not exist", str(target), fix="make the folder")


def _unread(name: str, given: Any, wanted: str) -> Problem:
    danger = "another number would be shown than was asked for"
    return Problem("choice-unknown", f"{given!r} cannot be read", name, danger, f"give {wanted}")


def _whole(given: Any) -> bool:
    """Whether it is a whole number, of Python or numpy."""
    return isinstance(given, Integral) and not isinstance(given, bool | np.bool_)


def _numbers(given: Any, count: int) -> list[float] | None:
    """So many finite numbers, also of arrays; None for anything else. Texts are none: "10,30" has five parts."""
    if isinstance(given, str | bytes):
        return None
    try:
        parts = list(given)
        if len(parts) != count or any(isinstance(each, str | bytes | bool | np.bool_) for each in parts):
            return None
        found = [float(each) for each in parts]
    except (TypeError, ValueError):
        return None
    return found if all(map(math.isfinite, found)) else None
