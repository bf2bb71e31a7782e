"""The variables of an archive, made of pieces: what each file gives, in order, each period once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from cube.axes import Step, TimeAxis
from cube.errors import InputError
from cube.options import Period
from ingest import coverage
from ingest.archive import ArchiveVariable, Piece
from ingest.assembling import lengths_of, source_chunk
from ingest.choosing import Chosen
from ingest.conventions import attributes
from ingest.coverage import Held, Overlap
from ingest.facts import Structure
from ingest.findings import Findings, listed
from ingest.grids import Grid
from ingest.labels import Labels
from ingest.reading import read
from ingest.rules import Checked, Ruled, one_of_each, other_sizes, rule

_COMPARED_BYTES = 2**26

Gap = tuple[str, str]


@dataclass
class Maker:
    """Makes the variables of an archive; what does not fit becomes a finding."""

    checked: Checked
    findings: Findings

    def variables(
        self, chosen: Sequence[Chosen]
    ) -> tuple[TimeAxis | None, dict[str, ArchiveVariable], list[Gap], Mapping[str, int]]:
        """(time axis, variables by name, declared holes, sizes of the dimensions besides time and the map's)."""
        begun = [made for each in chosen if (made := rule(self.checked, each, self.findings)) is not None]
        others = other_sizes(begun, self.findings)
        labels = self.checked.labels
        if labels is None:
            if self.findings.problems:
                return None, {}, [], others
            return None, {each.name: self._without_time(each) for each in begun}, [], others
        step, number = self._published_step(begun, labels)
        pieces = self._pieces(begun, labels, number)
        known = coverage.Known(
            step,
            labels.calendar,
            self.checked.options.gaps.max_days,
            [self._window("gaps", Period(start=first, end=last), step) for first, last in self._gap_periods],
            self.checked.excused // number,
            self.checked.incomplete or bool(labels.undated),
        )
        axis = coverage.check_holes(pieces, known, self.findings)
        dated = all(problem.code != "period-date" for problem in self.findings.problems)
        if axis is None and dated and len(begun) == len(chosen):
            self.findings.problem(
                "period-empty", "no file holds anything of the period", "files", fix="correct `period` or `files`"
            )
        if axis is None or self.findings.problems:
            return None, {}, [], others
        time = TimeAxis(axis[0], axis[1], step, labels.calendar)
        variables = {each.name: self._with_time(each, pieces[each.name], time, number) for each in begun}
        texts = [tuple(coverage.text(end, step, labels.calendar) for end in hole) for hole in axis[2]]
        return time, variables, [(first, last) for first, last in texts], others

    def _published_step(self, begun: Sequence[Ruled], labels: Labels) -> tuple[Step, int]:
        """(step of the product, file steps in it)."""
        wanted = Step.parse(self.checked.options.step) if self.checked.options.step else labels.step
        if wanted == labels.step:
            return labels.step, 1
        if wanted.unit != "day" or labels.step.unit != "hour":
            self.findings.problem(
                "step-unsupported",
                f"the files have the step {labels.step}, the product asks for {wanted}",
                "step",
                fix="leave out `step`; only sub-daily files can become daily",
            )
            return labels.step, 1
        flags = [each.name for each in begun if each.chosen.rule.kind == "flag"]
        if flags:
            self.findings.problem(
                "step-flag",
                f"flags have no daily mean: {listed(flags)}",
                "step",
                fix="leave them out with `variables`",
            )
        return wanted, 24 // labels.step.hours

    def _pieces(self, begun: Sequence[Ruled], labels: Labels, number: int) -> dict[str, list[Held]]:
        checked, options = self.checked, self.checked.options
        period = self._window("period", options.period, labels.step)
        order = self._order(labels)
        found: dict[str, list[Held]] = {}
        for each in begun:
            entries = coverage.settle(
                coverage.Question(each.name, checked.names, order, options.duplicates, partial(self._same, each)),
                labels,
                checked.holding(each.chosen),
                period,
                self.findings,
            )
            pieces = coverage.held(entries)
            if number > 1:
                pieces = coverage.to_days(pieces, number, checked.names, labels.calendar, self.findings, each.name)
            found[each.name] = pieces
        return found

    @property
    def _gap_periods(self) -> Sequence[tuple[str, str]]:
        return self.checked.options.gaps.periods

    def _window(self, option: str, period: Period | None, step: Step) -> tuple[int, int]:
        """The ordinals [first, stop) of an option's dates; none, and a problem, for days that the calendar lacks."""
        calendar = self.checked.labels.calendar if self.checked.labels else "standard"
        try:
            return coverage.window(period, step, calendar)
        except ValueError as error:
            what = f"{error} (the calendar of the files is {calendar})"
            self.findings.problem("period-date", what, option, fix=f"correct `{option}`")
            return 0, 0

    def _order(self, labels: Labels) -> list[int]:
        """The rank of each file, by first time, then name."""
        first = np.full(len(self.checked.files), np.iinfo(np.int64).max)
        np.minimum.at(first, labels.file, labels.ordinal)
        ranked = np.lexsort((np.array(self.checked.names), first))
        return [int(rank) for rank in np.argsort(ranked)]

    def _piece(self, made: Ruled, held: Held, start: int, number: int) -> Piece:
        checked, labels = self.checked, self.checked.labels
        hashed = checked.facts[held.file].structure
        decode = made.decodes[hashed]
        lengths: tuple[float, ...] = ()
        if number > 1:
            decode = replace(decode, reduce=(made.chosen.rule.daily, number))
        elif labels is not None:
            conversion = checked.conversions[made.name, hashed]
            lengths = lengths_of(held.first, held.count, labels.step, labels.calendar, conversion)
        return Piece(
            checked.files[held.file],
            start,
            held.count,
            held.source,
            held.source_count,
            decode,
            checked.grids[held.file].map,
            lengths,
        )

    def _same(self, made: Ruled, overlap: Overlap) -> bool:
        """Whether both files of an overlap hold the same values; what cannot be read is a finding of its own."""
        numbers = (overlap.kept, overlap.dropped)
        if any(self.checked.facts[number].structure not in made.decodes for number in numbers):
            return True
        files = self.checked.files[overlap.kept], self.checked.files[overlap.dropped]
        if files[0].sha256 == files[1].sha256 and overlap.kept_source == overlap.dropped_source:
            return True
        pieces = [
            self._piece(made, Held(file, overlap.first, overlap.count, source, overlap.count), 0, 1)
            for file, source in ((overlap.kept, overlap.kept_source), (overlap.dropped, overlap.dropped_source))
        ]
        timed = self.checked.labels is not None
        variable = self._variable(made, pieces[:1], overlap.count if timed else None, 1, None)
        cells = variable.shape[1:] if timed else variable.shape
        most = max(1, _COMPARED_BYTES // (max(1, math.prod(cells)) * variable.dtype.itemsize))
        for first in range(0, overlap.count, most):
            part = slice(first, min(first + most, overlap.count))
            shape = (part.stop - part.start, *cells) if timed else cells
            values = [np.full(shape, variable.fill, variable.dtype) for _ in pieces]
            try:
                for piece, out in zip(pieces, values, strict=True):
                    read(variable, [piece], {"time": part} if timed else {}, out)
            except InputError as error:
                self.findings.problems += error.problems
                return True
            if not np.array_equal(values[0], values[1], equal_nan=variable.dtype.kind == "f"):
                return False
        return True

    def _without_time(self, made: Ruled) -> ArchiveVariable:
        numbers = np.flatnonzero(self.checked.holding(made.chosen)).tolist()
        for other in numbers[1:]:
            if not self._same(made, Overlap(numbers[0], 0, other, 0, 0, 1)):
                self.findings.problem(
                    "static-differs",
                    f"{made.name} has no time and different values",
                    f"{self.checked.names[numbers[0]]} and {self.checked.names[other]}",
                    "either could be wrong",
                    "name one file only in `files`",
                )
        return self._variable(made, [self._piece(made, Held(numbers[0], 0, 1, 0, 1), 0, 1)], None, 1, None)

    def _with_time(self, made: Ruled, held: Sequence[Held], time: TimeAxis, number: int) -> ArchiveVariable:
        pieces = [self._piece(made, each, each.first - time.first, number) for each in sorted(held, key=_first)]
        return self._variable(made, pieces, time.count, number, self.checked.labels)

    def _variable(
        self, made: Ruled, pieces: Sequence[Piece], steps: int | None, number: int, labels: Labels | None
    ) -> ArchiveVariable:
        checked, shape = self.checked, made.shape
        grid = checked.grids[int(np.flatnonzero(checked.holding(made.chosen))[0])]
        sizes = (*(() if steps is None else (steps,)), *shape.others.values(), *grid.map.shape)
        stored = []
        for number_of_file, facts in one_of_each(checked.facts):
            if facts.structure in made.shapes:
                variable = checked.structures[facts.structure].variables[made.chosen.native[facts.structure]]
                stored.append((variable, made.shapes[facts.structure], checked.grids[number_of_file].map))
        longest = max((piece.count for piece in pieces), default=1)
        return ArchiveVariable(
            made.name,
            shape.dims,
            sizes,
            made.dtype,
            made.fill,
            self._attrs(made, grid, labels),
            tuple(pieces),
            source_chunk(shape.dims, sizes, stored, longest, number),
            grid.map,
        )

    def _attrs(self, made: Ruled, grid: Grid, labels: Labels | None) -> dict[str, Any]:
        hashed = next(iter(made.shapes))
        structure = self.checked.structures[hashed]
        attrs = attributes(made.chosen.rule, made.chosen.units, structure.variables[made.chosen.native[hashed]])
        if grid.mapping is not None:
            attrs["grid_mapping"] = "crs"
        begins = self._day_begins(made, structure, labels)
        if begins:
            attrs["day_begins"] = begins
        return attrs

    def _day_begins(self, made: Ruled, structure: Structure, labels: Labels | None) -> str:
        """When the days of a variable begin, UTC, where that is not midnight."""
        if structure.roles.time and (stated := structure.variables[structure.roles.time].text("day_begins")):
            return stated
        if labels is None:
            return ""
        offsets = np.unique(labels.offset[self.checked.holding(made.chosen)[labels.file]])
        if len(offsets) != 1 or not offsets[0]:
            return ""
        return f"{int(offsets[0]) // 3600:02d}:{int(offsets[0]) % 3600 // 60:02d}"


def _first(held: Held) -> int:
    return held.first
