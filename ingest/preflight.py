"""The pre-flight: every check of an archive before a datum is read, and all problems at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cube.errors import InputError
from ingest import choosing, naming
from ingest.archive import Archive
from ingest.assembling import is_static
from ingest.choosing import Chosen
from ingest.composing import compose
from ingest.declaration import Source
from ingest.discovery import Found, discover
from ingest.facts import FileFacts, Structure
from ingest.findings import Findings, listed, merged
from ingest.gathering import Gathered, Inventory, Progress, take_inventory
from ingest.grids import Grid, GridError, resolve
from ingest.labels import Labels, label
from ingest.rules import Checked
from ingest.selection import IngestSelection


def inspect(
    files: Sequence[Found | str],
    source: Source,
    options: IngestSelection,
    base: Path,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Archive:
    """An archive that is proven consistent.

    files     as `discover` found them, or patterns relative to `base`
    progress  called with the numbers of files done and of all files
    executor  runs what can be parallel

    Raises InputError with all problems of all files.
    """
    patterns = [each for each in files if isinstance(each, str)]
    found = [each for each in files if isinstance(each, Found)] + (discover(patterns, base) if patterns else [])
    found.sort(key=lambda each: each.name)
    inventory = take_inventory(found, source.group, source.grid.kind != "ease2", progress, executor)
    findings = Findings(list(inventory.problems))
    archive = None
    if inventory.files:
        archive = _Preflight(source, options, inventory, findings).run()
    if findings.problems or archive is None:
        raise InputError(merged(findings.problems))
    return archive


@dataclass
class _Preflight:
    """The checks, in the order in which they build on each other."""

    source: Source
    options: IngestSelection
    inventory: Inventory
    findings: Findings

    def run(self) -> Archive | None:
        findings, structures = self.findings, self.inventory.structures
        ordered = {each.facts.structure: structures[each.facts.structure] for each in self.inventory.files}
        chosen = choosing.choose(self.source, self.options.variables, ordered, findings)
        usable = self._with_data(chosen)
        names = [each.file.name for each in usable]
        fields, properties = naming.read_fields(self.source, names, self.options.names == "check", findings)
        if not usable:
            return None
        usable, fields, grids = self._grids(chosen, usable, fields)
        files_of: dict[str, list[str]] = {}
        for each in usable:
            files_of.setdefault(each.facts.structure, []).append(each.file.name)
        chosen = [held for each in chosen if (held := _held(each, files_of)).native]
        conversions = choosing.convert(chosen, structures, files_of, findings)
        names, facts = [each.file.name for each in usable], [each.facts for each in usable]
        timed, chosen = self._with_time(chosen, facts)
        labels = label(self.source, names, facts, fields, self.options.step, findings) if timed else None
        if labels is not None and self.options.names == "check":
            _check_names(labels, names, fields, findings)
        if not usable or not chosen or (timed and labels is None):
            return None
        files = [each.file for each in usable]
        incomplete = len(files) < self.inventory.found
        excused = self._excused(set(names), labels)
        checked = Checked(
            self.source, self.options, files, facts, grids, structures, conversions, labels, incomplete, excused
        )
        if any(problem.code == "name-mixed" for problem in findings.problems):
            # What comes next compares values, which can only differ.
            return None
        return compose(checked, chosen, properties, self.inventory.blobs, findings)

    def _excused(self, used: set[str], labels: Labels | None) -> NDArray[np.int64]:
        """The periods of files that have other problems."""
        found = [np.zeros(0, np.int64)]
        for each in self.inventory.files if labels is not None else ():
            name, fields = each.file.name, self.source.fields(each.file.name) or {}
            if labels is not None and name not in used:
                own = label(self.source, [name], [each.facts], [fields], str(labels.step), Findings())
                if own is not None and (own.step, own.calendar) == (labels.step, labels.calendar):
                    found.append(own.ordinal)
        return np.unique(np.concatenate(found))

    def _with_data(self, chosen: Sequence[Chosen]) -> list[Gathered]:
        """The files that hold something of the chosen variables; problems for the others."""
        usable = []
        for each in self.inventory.files:
            structure = self.inventory.structures[each.facts.structure]
            present = [one.native[each.facts.structure] for one in chosen if each.facts.structure in one.native]
            empty = {
                dim for name in present for dim in structure.variables[name].dims if each.facts.sizes.get(dim) == 0
            }
            if empty:
                self.findings.problem(
                    "file-no-rows",
                    f"it holds no values: {listed(f'the dimension {dim} has length zero' for dim in sorted(empty))}",
                    each.file.name,
                    "a period without observations would look like one that was never delivered",
                    "leave the file out of `files`, and declare the hole with `gaps`",
                )
            elif present:
                usable.append(each)
            else:
                self._absent(each, structure, chosen)
        return usable

    def _absent(self, each: Gathered, structure: Structure, chosen: Sequence[Chosen]) -> None:
        held = structure.roles.data
        expected = listed(one.rule.name for one in chosen) or f"those of the source {self.source.name}"
        self.findings.problem(
            "variable-absent" if held else "no-variables",
            f"it holds {listed(held) if held else 'no data variable'}; expected are {expected}",
            each.file.name,
            "its period would be missing from the product",
            "leave the file out of `files`; declare the hole with `gaps` if its period is missing then",
        )

    def _grids(
        self, chosen: Sequence[Chosen], usable: Sequence[Gathered], fields: Sequence[dict[str, str]]
    ) -> tuple[list[Gathered], list[dict[str, str]], list[Grid]]:
        """The files on the map of most files, with their maps; problems for the others."""
        resolved: dict[tuple[Any, ...], Grid | GridError] = {}
        keys = []
        for each in usable:
            structure = self.inventory.structures[each.facts.structure]
            key = _grid_key(structure, each.facts)
            if key not in resolved:
                data = next(one.native[each.facts.structure] for one in chosen if each.facts.structure in one.native)
                try:
                    resolved[key] = resolve(
                        structure, each.facts, self.inventory.blobs, self.source.grid, self.options.area, data
                    )
                except GridError as error:
                    resolved[key] = error
            keys.append(key)
        usual = _usual(keys, resolved)
        kept: tuple[list[Gathered], list[dict[str, str]], list[Grid]] = ([], [], [])
        strange: dict[tuple[Any, ...], list[str]] = {}
        for each, known, key in zip(usable, fields, keys, strict=True):
            grid = resolved[key]
            if isinstance(grid, GridError) or usual is None or not grid.same(usual):
                strange.setdefault(key, []).append(each.file.name)
                continue
            kept[0].append(each)
            kept[1].append(known)
            kept[2].append(grid)
        if usual is not None and usual.kind == "points" and strange:
            self.findings.problem(
                "grid-points-differ",
                "these files hold lists of points that differ from file to file",
                listed(name for names in strange.values() for name in names),
                "values would get wrong places",
                "put the points on a grid first: lists without a grid are not supported",
            )
            return kept
        for key, names in strange.items():
            self._strange(resolved[key], usual, names)
        return kept

    def _strange(self, grid: Grid | GridError, usual: Grid | None, names: Sequence[str]) -> None:
        if isinstance(grid, GridError):
            self.findings.problem(grid.code, str(grid), listed(names), "values would get wrong places", grid.fix)
            return
        self.findings.problem(
            "grid-differs",
            f"the map is {grid.describe()}; that of the other files is {usual.describe() if usual else 'unknown'}",
            listed(names),
            "values would get wrong places",
            "make one product of each map, or leave these files out",
        )

    def _with_time(self, chosen: list[Chosen], facts: Sequence[FileFacts]) -> tuple[bool, list[Chosen]]:
        """(whether the product has time, its variables): variables without time are products of their own."""
        named = self.source.time.label == "name"
        if not named and not any(each.stamps is not None or each.undecodable for each in facts):
            return False, chosen
        structures = self.inventory.structures
        static = [
            each
            for each in chosen
            if all(is_static(native, structures[hashed], named) for hashed, native in each.native.items())
        ]
        if len(static) == len(chosen):
            return False, chosen
        names = [each.rule.name for each in static]
        if names and self.options.variables is not None:
            self.findings.problem(
                "variable-without-time",
                f"{listed(names)} have no time, unlike the other variables",
                "variables",
                fix="make a product of its own of them",
            )
        elif names:
            self.findings.note(f"left out because they have no time: {listed(names)}")
        return True, [each for each in chosen if each.rule.name not in names]


def _held(chosen: Chosen, files_of: Mapping[str, Sequence[str]]) -> Chosen:
    return replace(chosen, native={hashed: name for hashed, name in chosen.native.items() if hashed in files_of})


def _grid_key(structure: Structure, facts: FileFacts) -> tuple[Any, ...]:
    """What the map of a file depends on."""
    roles = structure.roles
    times = structure.variables[roles.time].dims if roles.time else ()
    sizes = tuple((dim, size) for dim, size in facts.sizes.items() if dim not in times)
    known = (roles.latitude, roles.longitude, roles.y, roles.x, structure.map_dims)
    return (*known, str(structure.mappings), sizes, tuple(facts.arrays.items()))


def _usual(keys: Sequence[tuple[Any, ...]], resolved: Mapping[tuple[Any, ...], Grid | GridError]) -> Grid | None:
    """The map of most files; of the first among equals."""
    groups: list[tuple[Grid, int]] = []
    for key, count in Counter(keys).items():
        grid = resolved[key]
        if isinstance(grid, GridError):
            continue
        for position, (other, number) in enumerate(groups):
            if grid.same(other):
                groups[position] = (other, number + count)
                break
        else:
            groups.append((grid, count))
    return max(groups, key=lambda group: group[1])[0] if groups else None


def _check_names(labels: Labels, names: Sequence[str], fields: Sequence[Mapping[str, str]], findings: Findings) -> None:
    numbers, starts = np.unique(labels.file, return_index=True)
    stops = np.append(starts[1:], len(labels.file)) - 1
    covered = naming.Covered(
        [names[number] for number in numbers],
        [fields[number] for number in numbers],
        labels.ordinal[starts],
        labels.ordinal[stops],
    )
    naming.check_dates(covered, labels.step, labels.calendar, findings)
