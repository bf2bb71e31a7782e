"""What is wrong with a specification, gathered so that all of it is told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from batch.yaml_lines import Document, KeyPath
from cube.errors import Problem, SpecError

SHOWN = 20
"""Known words that a message lists."""


class Report:
    """The problems of one document, each with its line."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._found = {problem: line for line, problem in document.problems}

    def add(self, path: KeyPath, code: str, what: str, *, danger: str = "", fix: str = "") -> None:
        """Note a problem; the same problem of several products of one section counts once."""
        problem = Problem(code, what, self.document.where(path), danger, fix)
        self._found.setdefault(problem, self.document.line(path))

    def __len__(self) -> int:
        return len(self._found)

    def raise_if_any(self) -> None:
        """Raises SpecError with all problems in the order of their lines."""
        if self._found:
            raise SpecError(sorted(self._found, key=self._found.__getitem__))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be, None where none is near."""
    plain = {each.lower().replace("_", "-"): each for each in known}
    found = difflib.get_close_matches(word.lower().replace("_", "-"), plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else None


def suggestion(word: str, known: Iterable[str], noun: str) -> str:
    """A fix for an unknown word: the near miss, else all that is known."""
    known = list(known)
    near = nearest(word, known)
    if near:
        return f"did you mean {near!r}?"
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"{noun}: {', '.join(known[:SHOWN])}{more}" if known else f"there are no {noun}"


def describe(value: Any) -> str:
    """A value of the file as its author sees it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"a section with {', '.join(map(str, value))}" if value else "an empty section"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
