"""The `ingest` job: archive files become a product by rechunking."""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from cube.errors import InputError, Problem
from cube.hashing import digest
from cube.job import BlockTask, Job, JobContext, Work
from cube.layout import Group, Layout, Part
from cube.provenance import Citation, Provenance, Provider
from cube.reading import VersionRef
from cube.rechunk import Rechunked, Slices, rechunk_works
from cube.template import ArraySpec, Template
from ingest.archive import Archive, ArchiveFile, ArchiveVariable, Piece
from ingest.discovery import Found, discover
from ingest.opening import at_rest, local
from ingest.options import IngestOptions
from ingest.preflight import inspect
from ingest.reading import read
from ingest.sources import SOURCES

SPACE = ("lat", "lon", "y", "x", "rlat", "rlon")


@dataclass(frozen=True)
class PieceReader:
    """Reads one variable from archive files."""

    variable: ArchiveVariable
    pieces: tuple[Piece, ...]

    def within(self, window: Slices) -> PieceReader:
        # The variable's own list of pieces would travel with every work.
        return PieceReader(replace(self.variable, pieces=()), tuple(_overlapping(self.pieces, window)))

    def read(self, window: Slices, out: np.ndarray[Any, Any], done: int) -> None:
        read(self.variable, _overlapping(self.pieces, window)[done:], window, out)

    def steps(self, window: Slices) -> tuple[int, int] | None:
        part = window.get("time")
        if part is None:
            return None
        pieces = _overlapping(self.pieces, window)
        starts = [max(part.start, piece.start) for piece in pieces]
        stops = [min(part.stop, piece.stop) for piece in pieces]
        return (min(starts), max(stops)) if pieces else (part.start, part.start)


def _overlapping(pieces: Sequence[Piece], window: Slices) -> Sequence[Piece]:
    """The pieces, ordered by start and without overlaps, that give steps of the window."""
    part = window.get("time")
    if part is None:
        return pieces
    first = bisect_left(pieces, part.start + 1, key=lambda piece: piece.stop)
    last = bisect_left(pieces, part.stop, key=lambda piece: piece.start)
    return pieces[first:last]


class IngestJob(Job):
    """Archive files as a product of the cube."""

    name: ClassVar[str] = "ingest"
    revision: ClassVar[int] = 1
    extends: ClassVar[bool] = True
    Options: ClassVar[type[IngestOptions]] = IngestOptions

    def __init__(self, options: IngestOptions, archive: Archive) -> None:
        self.options = options
        self.archive = archive
        self.inputs = {}
        self._identities: dict[tuple[str, int, int], tuple[str, ...]] = {}

    @classmethod
    def create(cls, options: IngestOptions, context: JobContext) -> Self:
        """Look at the files; raises InputError with everything that is wrong with them."""
        patterns = [options.files] if isinstance(options.files, str) else list(options.files)
        files = discover(patterns, context.folder, options.archive)
        if context.frozen is not None:
            files = _still_there(files, context.frozen)

        def progress(done: int, total: int) -> None:
            if context.progress:
                context.progress("looking at files", done, total)

        archive = inspect(files, SOURCES[options.source], options, context.folder, progress, context.executor)
        if context.frozen is not None and _frozen(archive.files) != context.frozen["files"]:
            raise _moved()
        return cls(options, archive)

    def template(self) -> Template:
        archive = self.archive
        arrays = {
            name: ArraySpec(each.dims, each.shape, each.dtype, _attrs(each)) for name, each in archive.variables.items()
        }
        used = {dim for each in archive.variables.values() for dim in each.dims}
        return Template(
            arrays=arrays,
            coords=archive.coords,
            time=archive.time,
            space=tuple(name for name in SPACE if name in used),
            groups=tuple((name,) for name in archive.variables),
            crs=archive.attrs.get("crs", {"epsg": None, "wkt": None}),
            bbox=tuple(archive.attrs["bbox"]),
        )

    def key_options(self) -> Mapping[str, Any]:
        # What the options choose is in the identities of the pieces: file, steps, decoding, cells.
        return {"source": self.archive.source, "revision": self.archive.revision}

    def public_options(self) -> Mapping[str, Any]:
        return dict(self.options.model_dump(mode="json", exclude_defaults=True, exclude={"files", "archive"}))

    def identities(self, group: Group, slices: Mapping[str, slice]) -> Sequence[str]:
        part = slices.get("time", slice(0, 1))
        known = (group.name, part.start, part.stop)
        if known not in self._identities:
            pieces = _overlapping(self.archive.variables[group.variables[0]].pieces, slices)
            self._identities[known] = tuple(digest(piece.identity()) for piece in pieces)
        return self._identities[known]

    def works(self, layout: Layout, tasks: Sequence[BlockTask], budget: int, own: VersionRef) -> list[list[Work]]:
        steps: list[list[Work]] = []
        for group in layout.groups:
            chosen = [task for task in tasks if task.block.group == group.name]
            if not chosen:
                continue
            variable = self.archive.variables[group.variables[0]]
            source = Rechunked(
                Part(variable.name, variable.dims, variable.shape, variable.dtype.itemsize),
                group,
                variable.fill,
                variable.dtype,
                variable.source_chunk,
                PieceReader(variable, variable.pieces),
                "time",
            )
            for position, works in enumerate(rechunk_works(source, chosen, budget)):
                if position == len(steps):
                    steps.append([])
                steps[position] += works
        return steps

    def provenance(self) -> Provenance:
        declared = self.archive.provenance
        return Provenance(
            licence=declared["licence"],
            redistribution=declared["redistribution"],
            licence_url=declared["licence_url"],
            providers=tuple(Provider(p["name"], tuple(p["roles"]), p["url"]) for p in declared["providers"]),
            citations=tuple(Citation(c["text"], c["doi"]) for c in declared["citations"]),
        )

    def files(self) -> Sequence[Mapping[str, Any]]:
        return [{"name": file.name, "bytes": file.bytes, "sha256": file.sha256} for file in self.archive.files]

    def frozen(self) -> Mapping[str, Any]:
        return {"files": _frozen(self.archive.files)}

    def notes(self) -> Mapping[str, Any]:
        archive = self.archive
        return {"gaps": archive.gaps, "notes": archive.notes, "properties": archive.properties, "attrs": archive.attrs}

    def extras(self) -> tuple[Mapping[str, bytes], Mapping[str, Any] | None]:
        if self.options.references is None:
            return {}, None
        # The parsers take long to import, and most builds do not need them.
        from ingest.references import ReferencedFile, ReferencesRefused, build_references

        base = self.options.references.base_url.rstrip("/")
        natives = {piece.decode.variable for each in self.archive.variables.values() for piece in each.pieces}
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(at_rest(self.archive.files))
                files = [
                    ReferencedFile(stack.enter_context(local(file)), f"{base}/{file.name}", file.sha256, file.bytes)
                    for file in _in_time_order(self.archive)
                ]
                made = build_references(files, sorted(natives))
        except ReferencesRefused as refused:
            return {}, {"refused": [f"{problem.what} [{problem.code}]" for problem in refused.problems]}
        return made.objects, {"href": f"references.{made.format}", "format": made.format, "base_url": base}


def _in_time_order(archive: Archive) -> list[ArchiveFile]:
    starts: dict[ArchiveFile, int] = {}
    for variable in archive.variables.values():
        for piece in variable.pieces:
            starts[piece.file] = min(piece.start, starts.get(piece.file, piece.start))
    return sorted(starts, key=lambda file: (starts[file], file.name))


def _attrs(variable: ArchiveVariable) -> dict[str, Any]:
    if variable.dtype.kind == "f":
        return variable.attrs
    return {**variable.attrs, "_FillValue": int(variable.fill)}


def _frozen(files: Sequence[ArchiveFile]) -> dict[str, str]:
    return {file.location: file.sha256 for file in files}


def _still_there(files: Sequence[Found], frozen: Mapping[str, Any]) -> list[Found]:
    present = [file for file in files if file.location in frozen["files"]]
    if len(present) != len(frozen["files"]):
        raise _moved()
    return present


def _moved() -> InputError:
    return InputError(Problem("input-moved", "the files of the staged version are no longer what they were"))
