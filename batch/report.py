"""What is wrong with a specification, gathered so that all of it is told at once."""

from __future__ import annotations

from batch.yaml_lines import Document
from cube.errors import Problem, SpecError
from cube.wording import KeyPath


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
