"""Checks of what a cube rests on: each is made whatever became of the others, and none is ever an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from cube.errors import CubeError, StoreError

Result = Literal["ok", "warning", "problem", "not tried"]


@dataclass(frozen=True)
class Check:
    """What one check found.

    name       what was checked, such as "store: read back"
    found      what is so, one sentence without its full stop
    fix        what to do about it; "" where there is nothing to do
    exit_code  of a problem: that of the errors a build would end with
    """

    name: str
    result: Result
    found: str
    fix: str = ""
    exit_code: int = StoreError.exit_code


@dataclass(frozen=True)
class Trial:
    """A check that is still to be made. `make` is given its name and may raise anything."""

    name: str
    make: Callable[[str], Check]
    exit_code: int = StoreError.exit_code

    def run(self) -> Check:
        """Make it; an error of ours is a problem with the error's own fix and exit code."""
        try:
            return self.make(self.name)
        except CubeError as error:
            first, *others = error.problems
            more = f" (and {len(others)} more)" if others else ""
            place = f"{first.where}: " if first.where else ""
            return Check(self.name, "problem", f"{place}{first.what}{more} [{first.code}]", first.fix, error.exit_code)
        except OSError as error:
            return Check(self.name, "problem", f"{error.strerror or type(error).__name__}", "", self.exit_code)
        except Exception as error:  # noqa: BLE001  the other checks must still be made
            return Check(self.name, "problem", f"the check failed: {type(error).__name__}", "", 1)


def exit_code(checks: Iterable[Check]) -> int:
    """That of the first problem, 0 where there is none."""
    return next((check.exit_code for check in checks if check.result == "problem"), 0)
