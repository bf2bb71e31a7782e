"""A cube whose archive moves under its builder: what may happen to a file, and when."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from batch.build import Outcome, build
from batch.jobs import OPTIONS
from batch.reporting import Reporter
from batch.spec import load_spec
from cube.errors import CubeError
from ingest import opening, reading
from tests.ingest.small_files import field, write

type Array = np.ndarray[Any, Any]
type Back = Callable[[], None]
type Way = Callable[[Path], Back]

SPEC = """
title: Moving sources
store: ./cube
memory: 1 GiB
cluster: {{kind: local, workers: 0}}
products:
  tas: {{job: ingest, collection: inputs, source: cf, layout: {{segment: 1 years}}, {options}}}
"""
FILES_HERE = "files: archive/*.nc"
REFERENCES = f"{FILES_HERE}, references: {{base_url: 'https://data.example.org/archive'}}"
DAYS = 3
FILES = 4
# Large enough that references to its chunks are worth their while.
LATITUDES, LONGITUDES = np.arange(32) * 0.5 + 10, np.arange(40) * 0.5 + 30


class Serial(ThreadPoolExecutor):
    """In place of processes, which take longer to start than these builds take."""

    def __init__(self, *_: Any) -> None:
        super().__init__(1)


def in_this_process(patch: pytest.MonkeyPatch) -> None:
    """Builds start no processes, and wait for no disk: nobody cuts the power here."""
    patch.setattr("batch.build.ProcessPoolExecutor", Serial)
    patch.setattr(os, "fsync", lambda _: None)


class Cube:
    """A folder with an archive of `FILES` files of `DAYS` days each, and the cube that is made from it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.archive, self.options = folder, folder / "archive", FILES_HERE

    def file(self, number: int) -> Path:
        return self.archive / f"tas_{number}.nc"

    @property
    def last(self) -> Path:
        return self.file(FILES - 1)

    def write(self, numbers: Sequence[int], plus: float = 0.0, **options: Any) -> None:
        for number in numbers:
            write_days(self.file(number), number, plus, **options)

    def build(self) -> Outcome:
        (self.folder / "cube.yaml").write_text(SPEC.format(options=self.options))
        spec = load_spec(self.folder / "cube.yaml", OPTIONS)
        return build(spec, spec.order(), Reporter(quiet=True))

    def made(self) -> None:
        """A build that must do."""
        assert not (failed := self.build().failed), failed

    def refused(self) -> CubeError:
        """The error of a build that must fail."""
        outcome = self.build()
        assert not outcome.built
        (error,) = outcome.failed.values()
        assert outcome.exit_code == error.exit_code
        return error

    @property
    def item(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "cube/inputs/tas/tas.json").read_text())
        return found

    @property
    def version(self) -> Path:
        return self.folder / "cube/inputs/tas" / str(self.item["properties"]["version"])

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.version / "manifest.json").read_text())
        return found

    def values(self) -> Array:
        with xr.open_zarr(self.version / "time.zarr") as found:
            return np.asarray(found["tas"].values)

    def originals(self) -> Array:
        """What xarray reads from each file of the archive, times that are in two files once."""
        parts = []
        for path in sorted(self.archive.glob("*.nc")):
            with xr.open_dataset(path) as dataset:
                parts.append(dataset["tas"].load())
        return np.asarray(xr.concat(parts, "time").drop_duplicates("time").values)

    def published(self) -> dict[str, bytes]:
        """Everything that readers of the live version and the catalogue can meet."""
        paths = [*self.version.rglob("*"), *self.folder.glob("cube/*.json"), *self.folder.glob("cube/inputs/*.json")]
        paths.append(self.folder / "cube/inputs/tas/tas.json")
        return {str(path): path.read_bytes() for path in paths if path.is_file()}

    def stored(self) -> dict[str, bytes]:
        """Everything in the store."""
        return {str(path): path.read_bytes() for path in (self.folder / "cube").rglob("*") if path.is_file()}


def write_days(path: Path, number: int, plus: float = 0.0, days: int = DAYS, **options: Any) -> None:
    first = number * DAYS
    write(
        path,
        field(first, days, len(LATITUDES), len(LONGITUDES)) + np.float32(plus),
        times=[float(day) for day in range(first, first + days)],
        latitudes=LATITUDES,
        longitudes=LONGITUDES,
        **options,
    )


def begun(folder: Path, patch: pytest.MonkeyPatch) -> Cube:
    """A cube with a cache of its own; nothing is there yet."""
    patch.setenv("CUBE_CACHE", str(folder / "cache"))
    patch.setenv("CUBE_SCRATCH", str(folder / "scratch"))
    return Cube(folder)


def built_first(folder: Path) -> Path:
    """A folder with a cube of the whole archive."""
    with pytest.MonkeyPatch.context() as patch:
        in_this_process(patch)
        made = begun(folder, patch)
        made.write(range(FILES))
        made.made()
    return folder


def replace_all(cube: Cube, first: Path) -> Cube:
    """The cube of `first`, its archive replaced as a whole, so that the next build reads all of it."""
    shutil.copytree(first / "cube", cube.folder / "cube")
    cube.write(range(FILES), 0.5)
    return cube


# What may happen to a file. Each way keeps a copy of what it was, and tells how to set it right.


def _other(path: Path) -> Path:
    """A file of the same size with other values, beside the archive."""
    new = path.parent.parent / "new.nc"
    write_days(new, FILES - 1, 9.0, file_format=_format(path))
    assert new.stat().st_size == path.stat().st_size
    return new


def _format(path: Path) -> str:
    return "NETCDF4" if path.read_bytes()[:4] == b"\x89HDF" else "NETCDF3_64BIT_OFFSET"


def _nothing() -> None:
    pass


def replaced(path: Path) -> Back:
    _other(path).rename(path)
    return _nothing


def replaced_under_its_old_time(path: Path) -> Back:
    new, status = _other(path), path.stat()
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.rename(path)
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    return _nothing


def linked_elsewhere(path: Path) -> Back:
    new = _other(path)
    path.unlink()
    path.symlink_to(new)
    return _nothing


def overwritten(path: Path) -> Back:
    data = _other(path).read_bytes()
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(1, 1))  # that it is another time does not hang on the clock's ticks
    return _nothing


def grown(path: Path) -> Back:
    new = path.parent.parent / "new.nc"
    write_days(new, FILES - 1, 0.5, days=DAYS + 2, file_format=_format(path))
    with path.open("r+b") as file:
        file.write(new.read_bytes())
    return _nothing


def truncated(path: Path) -> Back:
    data = path.read_bytes()
    os.truncate(path, len(data) - 40)

    def back() -> None:
        path.write_bytes(data)

    return back


def emptied(path: Path) -> Back:
    data = path.read_bytes()
    os.truncate(path, 0)

    def back() -> None:
        path.write_bytes(data)

    return back


def removed(path: Path) -> Back:
    data = path.read_bytes()
    path.unlink()

    def back() -> None:
        path.write_bytes(data)

    return back


def unmounted(path: Path) -> Back:
    away = path.parent.rename(path.parent.parent / "away")
    path.parent.mkdir()  # a place to mount something at stays when nothing is mounted

    def back() -> None:
        path.parent.rmdir()
        away.rename(path.parent)

    return back


def folder_gone(path: Path) -> Back:
    away = path.parent.rename(path.parent.parent / "away")

    def back() -> None:
        away.rename(path.parent)

    return back


def made_a_folder(path: Path) -> Back:
    data = path.read_bytes()
    path.unlink()
    path.mkdir()

    def back() -> None:
        path.rmdir()
        path.write_bytes(data)

    return back


WAYS = [
    replaced,
    replaced_under_its_old_time,
    linked_elsewhere,
    overwritten,
    grown,
    truncated,
    emptied,
    removed,
    unmounted,
    folder_gone,
    made_a_folder,
]
GONE = {removed, unmounted, folder_gone}


class Mover:
    """Does something to a file at a moment of its reading, once.

    listed  after the pre-flight, before the file is opened to be read
    opened  when it is open and was proven to be the listed one, before the first number is read
    read    when numbers were read, before the file is proven to be still the same
    """

    def __init__(self, path: Path, moment: str, way: Way, patch: pytest.MonkeyPatch) -> None:
        self.back: Back | None = None
        self._path, self._moment, self._way = path, moment, way
        self._reading = False
        real_open, real_read = reading.opened, opening.NativeFile.read

        def open_it(file: Any) -> Any:
            if file.name == path.name:
                self._now("listed")
                self._reading = True
            return real_open(file)

        def read_it(native: Any, *rest: Any) -> Any:
            ours = self._reading and native.dataset.filepath() == str(path)
            if ours:
                self._now("opened")
            values = real_read(native, *rest)
            if ours:
                self._now("read")
            return values

        patch.setattr(reading, "opened", open_it)
        patch.setattr(opening.NativeFile, "read", read_it)

    def _now(self, moment: str) -> None:
        if moment == self._moment and self.back is None:
            self.back = self._way(self._path)

    def rest(self) -> None:
        assert self.back is not None, "nothing moved"
        self.back()


def check(cube: Cube, mover: Mover, codes: set[str]) -> None:
    """The run fails and says where; readers see what they saw; at rest the command finishes with the right values."""
    before, values = cube.published(), cube.values()
    error = cube.refused()
    assert error.exit_code == 3
    (problem,) = error.problems
    assert problem.code in codes
    assert problem.where == cube.last.name
    assert cube.published() == before
    np.testing.assert_array_equal(cube.values(), values)
    mover.rest()
    cube.made()
    np.testing.assert_array_equal(cube.values(), cube.originals())
    assert_identities(cube)


def assert_identities(cube: Cube) -> None:
    """The manifest tells what the files really are."""
    expected = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in cube.archive.glob("*.nc")}
    assert {each["name"]: each["sha256"] for each in cube.manifest["inputs"]["files"]} == expected


def codes_of(way: Way, moment: str) -> set[str]:
    if moment == "listed" and way in GONE:
        return {"file-missing"}
    return {"input-moved"}


def cases(*normal: tuple[str, list[Way]], moments: tuple[str, ...], ways: Sequence[Way] = WAYS) -> list[Any]:
    """Every way at every moment; those that are not `normal` belong to the soak."""
    chosen = {(way, moment) for moment, ways in normal for way in ways}
    return [
        pytest.param(
            way,
            moment,
            id=f"{way.__name__}-{moment}",
            marks=[] if (way, moment) in chosen else [pytest.mark.soak],
        )
        for way in ways
        for moment in moments
    ]
