"""Values of the specification as models, with every fault of theirs in the report."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel

from batch.report import Report
from cube import faults
from cube.wording import KeyPath


def validate[M: BaseModel](
    model: type[M], value: Mapping[str, Any], path: KeyPath, report: Report, excused: Collection[str | None] = ()
) -> M | None:
    """The model from the values under `path`, or None with every fault of theirs in `report`.

    excused  keys whose absence is no news, because a misspelt one was reported in their place
    """
    found, wrong = faults.checked(model, value, excused)
    for fault in wrong:
        problem = fault.problem
        report.add((*path, *fault.path), problem.code, problem.what, danger=problem.danger, fix=problem.fix)
    return found


def unknown_key(key: str, known: Collection[str], path: KeyPath, report: Report) -> str | None:
    """Report a key that is not known in the section at `path`; the known key that was probably meant."""
    problem, meant = faults.unknown_key(key, known)
    report.add((*path, key), problem.code, problem.what, fix=problem.fix)
    return meant


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a section."""
    return list(model.model_fields)
