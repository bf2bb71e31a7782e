"""The pre-flight: every check of an archive before a datum is read, and all problems at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cube.errors import InputError
from ingest import choosing, coordinates, naming
from ingest.archive import Archive
from ingest.assembling import is_static
from ingest.choosing import Chosen
from ingest.declaration import Source
from ingest.discovery import Found, discover
from ingest.facts import FileFacts, Structure
from ingest.findings import Findings, listed
from ingest.gathering import Gathered, Inventory, Progress, take_inventory
from ingest.grids import Grid, GridError, resolve
from ingest.labels import Labels, label
from ingest.making import Checked, Maker
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
        raise InputError(findings.problems)
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
        checked = Checked(self.source, self.options, files, facts, grids, structures, conversions, labels, incomplete)
        return self._archive(checked, chosen, properties)

    def _archive(self, checked: Checked, chosen: Sequence[Chosen], properties: Mapping[str, str]) -> Archive:
        findings, source, grid = self.findings, self.source, checked.grids[0]
        time, variables, gaps, others = Maker(checked, findings).variables(chosen)
        kinds = {(each.structure, *sorted(each.arrays.items())): each for each in checked.facts}
        files = [(checked.structures[each.structure], each) for each in kinds.values()]
        soil = self._soil(others)
        coords = coordinates.dataset(grid, others, soil, files, self.inventory.blobs, findings)
        auxiliary = [str(name) for name in coords.variables if name not in coords.dims and "bnds" not in str(name)]
        auxiliary = [name for name in auxiliary if name != "crs"]
        for variable in variables.values():
            own = [name for name in auxiliary if set(coords[name].dims) <= set(variable.dims)]
            if own:
                variable.attrs["coordinates"] = " ".join(sorted(own))
        used = {piece.file for variable in variables.values() for piece in variable.pieces}
        self._notes(chosen, checked)
        return Archive(
            source=source.name,
            revision=source.revision,
            time=time,
            coords=coords,
            variables=variables,
            files=tuple(file for file in checked.files if file in used),
            gaps=tuple(gaps),
            notes=(*source.notes, *findings.notes),
            attrs={**_global_attrs(source, files), **coordinates.place(grid)},
            properties=dict(properties),
            provenance=provenance_of(source, self.options),
        )

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
            f"it holds {listed(held) if held else 'no data variable'}, not {expected}",
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

    def _soil(self, others: Mapping[str, int]) -> Sequence[float] | None:
        """Layer thicknesses of the dimension `depth`, if it is JULES's."""
        if self.source.soil_layers is None or "depth" not in others:
            return None
        layers = self.options.dzsoil or coordinates.SOIL_LAYERS
        if len(layers) != others["depth"]:
            self.findings.problem(
                "soil-layers",
                f"the files have {others['depth']} soil layers, {len(layers)} thicknesses are known",
                "dzsoil",
                "water contents would be given the wrong depths",
                "give `dzsoil`, the thicknesses of the run's namelist `dzsoil_io` in m",
            )
            return None
        return layers

    def _notes(self, chosen: Sequence[Chosen], checked: Checked) -> None:
        used = {facts.structure for facts in checked.facts}
        left = {
            f"{name} ({reason})" for hashed in used for name, reason in checked.structures[hashed].roles.ignored.items()
        }
        if left:
            self.findings.note(f"left out: {listed(sorted(left))}")
        for each in chosen:
            if each.rule.floor is not None:
                self.findings.note(
                    f"{each.rule.name}: values from {each.rule.floor:g} {each.units} up to zero became 0"
                )
        attrs = [checked.structures[hashed].attrs for hashed in used]
        experiments = sorted({each["experiment_id"] for each in attrs if "experiment_id" in each})
        if len(experiments) > 1:
            self.findings.note(f"the files are of several experiments: {listed(experiments)}")


def _held(chosen: Chosen, files_of: Mapping[str, Sequence[str]]) -> Chosen:
    return replace(chosen, native={hashed: name for hashed, name in chosen.native.items() if hashed in files_of})


def _grid_key(structure: Structure, facts: FileFacts) -> tuple[Any, ...]:
    """What the map of a file depends on."""
    times = structure.variables[structure.roles.time].dims if structure.roles.time else ()
    sizes = tuple(sorted((dim, size) for dim, size in facts.sizes.items() if dim not in times))
    return (facts.structure, sizes, tuple(sorted(facts.arrays.items())))


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
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, ordinal in zip(labels.file.tolist(), labels.ordinal.tolist(), strict=True):
        first.setdefault(number, ordinal)
        last[number] = ordinal
    covered = [naming.Covered(names[number], first[number], last[number]) for number in first]
    naming.check_dates(covered, [fields[number] for number in first], labels.step, labels.calendar, findings)


def _global_attrs(source: Source, files: Sequence[tuple[Structure, FileFacts]]) -> dict[str, str]:
    """Global attributes: the source's, and those of the files that are the same in all."""
    shared = dict(source.attrs)
    for name in ("title", "institution", "source", "references"):
        values = {structure.attrs.get(name) for structure, _ in files}
        value = next(iter(values))
        if len(values) == 1 and value:
            shared.setdefault(name, value)
    shared.setdefault("title", source.title)
    return shared


def provenance_of(source: Source, options: IngestSelection) -> dict[str, Any]:
    """Licence, providers and citations of a product: the options', else the source's."""
    given = options.provenance
    providers = given.providers if given.providers is not None else source.providers
    citations = given.citations if given.citations is not None else source.citations
    return {
        "licence": given.licence or source.licence,
        "licence_url": given.licence_url or (None if given.licence else source.licence_url),
        "providers": [{"name": each.name, "roles": list(each.roles), "url": each.url} for each in providers],
        "citations": [{"doi": each.doi, "text": each.text} for each in citations],
        "redistribution": given.redistribution or source.redistribution,
        "ancestors": [],
    }
