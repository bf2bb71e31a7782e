"""The errors of the project: one small tree, stable codes, an exit code each.

Every error carries one or more `Problem`s, so that all that is wrong with an input is reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    code    stable, e.g. "time-duplicate"; explained by `cube explain CODE` (texts in `cube/codes.py`)
    what    what was found and what was expected, one sentence
    where   file, variable, product or line it was found in
    danger  what would go wrong if it were ignored
    fix     what to do, naming the option that settles it
    """

    code: str
    what: str
    where: str = ""
    danger: str = ""
    fix: str = ""

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        lines = [f"{head} [{self.code}]"]
        if self.danger:
            lines.append(f"    danger: {self.danger}")
        if self.fix:
            lines.append(f"    fix: {self.fix}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, str]:
        return asdict(self)


class CubeError(Exception):
    """Root of the tree. `problems` is never empty."""

    title = "the command failed"
    exit_code = 1

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        if not self.problems:
            raise ValueError("an error needs at least one problem")
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = self.title if count == 1 else f"{self.title} ({count} problems)"
        return "\n".join([head, *(f"  {problem}" for problem in self.problems)])


class SpecError(CubeError):
    """The specification cannot be used."""

    title = "the specification cannot be used"
    exit_code = 2


class RequestError(SpecError):
    """What a command line or a call asks for cannot be done, whatever the specification says."""

    title = "what was asked for cannot be done"


class InputError(CubeError):
    """Input files or products are not what the specification says."""

    title = "the input is refused"
    exit_code = 3


class RefusedError(CubeError):
    """The plan is possible but not allowed: over budget, a retraction, a licence."""

    title = "the plan is refused"
    exit_code = 4


class StoreError(CubeError):
    """The store cannot be read or written."""

    title = "the store failed"
    exit_code = 5


class WriteError(StoreError):
    """A file outside of the store cannot be written."""

    title = "the file could not be written"


class MissingObjectError(StoreError):
    """An object that must be there is not."""

    title = "an object is missing"


class IntegrityError(CubeError):
    """What is stored is not what was proven when it was written."""

    title = "the store does not hold what it advertises"
    exit_code = 6


class BusyError(CubeError):
    """Somebody else holds the cube, or published since the plan was made."""

    title = "another writer is at work"
    exit_code = 7


class ComputeError(CubeError):
    """A block could not be computed."""

    title = "a block could not be computed"
    exit_code = 8


class OverdueError(CubeError):
    """Scheduled runs were missed, hang, died, or failed and told nobody."""

    title = "scheduled runs are not as they should be"
    exit_code = 9
