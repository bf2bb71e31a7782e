"""What a pre-flight finds: problems that refuse an archive, notes that go with the product."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from cube.errors import Problem

_NAMED = 10
_APART = 5


@dataclass
class Findings:
    """Problems and notes in the order of the checks."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, code: str, what: str, where: str = "", danger: str = "", fix: str = "") -> None:
        self.problems.append(Problem(code, what, where, danger, fix))

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def listed(names: Iterable[str]) -> str:
    """Names in one line, the first ten of many."""
    all_names = list(names)
    more = len(all_names) - _NAMED
    return ", ".join(all_names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, word: str) -> str:
    """ "1 step", "2 steps"."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """(first, last) of each run of consecutive numbers in an ascending sequence."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def merged(problems: Sequence[Problem]) -> list[Problem]:
    """The problems, those that many files share as one."""
    groups: dict[tuple[str, ...], list[Problem]] = {}
    for each in problems:
        groups.setdefault((each.code, each.what, each.danger, each.fix), []).append(each)
    found: list[Problem] = []
    for group in groups.values():
        if len(group) <= _APART:
            found += group
        else:
            names = listed(each.where for each in group)
            found.append(replace(group[0], where=f"{len(group)} files ({names})"))
    return found
