"""Grids that the specification declares once: `grid: africa` in a product stands for the section `grids.africa`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from batch.expansion import Expansion, placeholders
from batch.report import Report
from compute.align.grid import GridOptions
from cube.options import Strict
from cube.wording import KeyPath, suggestion

GRID = "grid"
"""The option of a job that is a grid or the name of one."""


def with_grid(
    expansion: Expansion, options: type[Strict] | None, grids: Any, path: KeyPath, report: Report
) -> tuple[Expansion, set[str | None]]:
    """A product's section with the grid in place of its name, and the keys whose absence was reported already.

    grids  the section of that name as it stands in the file; what is wrong with it is reported by who reads it
    """
    name = expansion.section.get(GRID)
    if options is None or GRID not in options.model_fields or not isinstance(name, str):
        return expansion, set()
    declared: Mapping[str, Any] = grids if isinstance(grids, dict) else {}
    rest = {key: value for key, value in expansion.section.items() if key != GRID}
    if name not in declared:
        if not placeholders(name):
            fix = suggestion(name, declared, "grids") if declared else f"declare it: `grids: {{{name}: {{lat: ...}}}}`"
            report.add((*path, GRID), "spec-unknown-grid", f"the section `grids` declares no {name!r}", fix=fix)
        return replace(expansion, section=rest), {GRID}
    try:
        GridOptions.model_validate(declared[name])
    except ValidationError:
        return replace(expansion, section=rest), {GRID}
    return replace(expansion, section={**rest, GRID: declared[name]}), set()
