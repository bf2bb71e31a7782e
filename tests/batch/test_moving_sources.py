"""Archive files that move while a product is made from them: the run fails, readers keep what they had, and once the
archive is at rest the same command finishes."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cube import rechunk
from ingest import gathering, reading
from ingest.references import proof
from tests.batch.moving import (
    FILES,
    FILES_HERE,
    GONE,
    REFERENCES,
    Back,
    Cube,
    Mover,
    Way,
    assert_identities,
    begun,
    built_first,
    cases,
    check,
    codes_of,
    emptied,
    grown,
    in_this_process,
    made_a_folder,
    overwritten,
    removed,
    replace_all,
    replaced_under_its_old_time,
    truncated,
    unmounted,
    write_days,
)
from tests.ingest.small_files import field, write

type Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


@pytest.fixture
def cube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cube:
    return begun(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def first_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_first(tmp_path_factory.mktemp("first"))


@pytest.fixture
def remade(cube: Cube, first_version: Path) -> Cube:
    """A published cube whose archive was replaced as a whole."""
    return replace_all(cube, first_version)


FEW = [replaced_under_its_old_time, truncated, unmounted]
MOST = [replaced_under_its_old_time, overwritten, grown, removed, unmounted, made_a_folder]
READING = ("listed", "opened", "read")


@pytest.mark.parametrize(
    ("way", "moment"), cases(("listed", FEW), ("opened", [truncated]), ("read", MOST), moments=READING)
)
def test_source_that_moves_is_published(remade: Cube, monkeypatch: pytest.MonkeyPatch, way: Way, moment: str) -> None:
    check(remade, Mover(remade.last, moment, way, monkeypatch), codes_of(way, moment))


@pytest.mark.parametrize(("way", "moment"), cases(("opened", [truncated, emptied]), moments=("opened", "read")))
def test_classic_file_that_is_cut_while_it_is_read_gives_zeros(
    remade: Cube, monkeypatch: pytest.MonkeyPatch, way: Way, moment: str
) -> None:
    remade.write(range(FILES), 0.5, file_format="NETCDF3_64BIT_OFFSET")
    check(remade, Mover(remade.last, moment, way, monkeypatch), codes_of(way, moment))


@pytest.fixture
def two_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = rechunk.slab_memory
    monkeypatch.setattr(rechunk, "slab_memory", lambda source, window: real(source, window) + 10**12)


@pytest.mark.parametrize(("way", "moment"), cases(("read", [replaced_under_its_old_time, removed]), moments=READING))
def test_source_that_moves_during_a_first_pass_is_published(
    remade: Cube, monkeypatch: pytest.MonkeyPatch, two_passes: None, way: Way, moment: str
) -> None:
    check(remade, Mover(remade.last, moment, way, monkeypatch), codes_of(way, moment))
    assert not list(remade.folder.glob("cube/inputs/tas/*/tmp/**/*.array"))


@pytest.mark.parametrize(("way", "moment"), cases(("read", [replaced_under_its_old_time, removed]), moments=READING))
def test_source_that_moves_is_appended(cube: Cube, monkeypatch: pytest.MonkeyPatch, way: Way, moment: str) -> None:
    cube.write(range(FILES - 1))
    cube.made()
    write_days(cube.last, FILES - 1, 0.5)
    seen: list[str] = []
    real = reading.opened
    monkeypatch.setattr(reading, "opened", lambda file: (seen.append(file.name), real(file))[1])
    check(cube, Mover(cube.last, moment, way, monkeypatch), codes_of(way, moment))
    assert set(seen) == {cube.last.name}, "files that were published before are read again"


class LateMover(Mover):
    """Moves a file when references are made, before or after it is looked at."""

    def __init__(self, path: Path, moment: str, way: Way, patch: pytest.MonkeyPatch) -> None:
        self.back = None
        self._path, self._moment, self._way = path, moment, way
        scan = importlib.import_module("ingest.references.scan")  # its package gives a function of this name
        real_read, real_compare = scan.read_contents, proof._different_values

        def look(dataset: Any, *rest: Any) -> Any:
            if dataset.filepath() == str(path):
                self._now("scanned")
            return real_read(dataset, *rest)

        def compare(*arguments: Any) -> Any:
            self._now("compared")
            yield from real_compare(*arguments)

        patch.setattr(scan, "read_contents", look)
        patch.setattr(proof, "_different_values", compare)


@pytest.mark.parametrize(
    ("way", "moment"),
    cases(
        ("scanned", [truncated]), ("compared", [replaced_under_its_old_time, removed]), moments=("scanned", "compared")
    ),
)
def test_references_lead_into_a_source_that_moved(
    remade: Cube, monkeypatch: pytest.MonkeyPatch, way: Way, moment: str
) -> None:
    remade.options = REFERENCES
    mover = LateMover(remade.last, moment, way, monkeypatch)
    before = remade.published()
    error = remade.refused()
    assert error.exit_code == 3
    # A folder that is gone takes all files with it.
    assert remade.last.name in {problem.where for problem in error.problems}
    assert {problem.code for problem in error.problems} == ({"file-missing"} if way in GONE else {"input-moved"})
    assert remade.published() == before
    mover.rest()
    remade.made()
    np.testing.assert_array_equal(remade.values(), remade.originals())
    assert_identities(remade)
    assert remade.manifest["references"]["format"] == "json", remade.manifest["references"]
    assert remade.manifest["references"]["base_url"] == "https://data.example.org/archive"


def test_blocks_made_before_a_file_moved_are_made_again(cube: Cube, monkeypatch: pytest.MonkeyPatch) -> None:
    for year in range(3):
        days = [float(365 * year + day) for day in range(365)]
        write(cube.file(year), field(365 * year, 365), times=days, calendar="noleap", file_format="NETCDF3_CLASSIC")
    mover = Mover(cube.file(2), "opened", removed, monkeypatch)
    assert cube.refused().problems[0].where == "tas_2.nc"
    mover.rest()
    (built,) = cube.build().built
    assert (built.resumed, built.computed) == (2, 1)
    np.testing.assert_array_equal(cube.values(), field(0, 3 * 365))


@pytest.mark.parametrize(
    ("way", "moment"), cases(("listed", [replaced_under_its_old_time, truncated]), moments=("listed",))
)
def test_source_that_moves_while_it_is_listed_is_staged(
    remade: Cube, monkeypatch: pytest.MonkeyPatch, way: Way, moment: str
) -> None:
    real, back = gathering._sha256, []

    def hashed(descriptor: int) -> str:
        if not back and os.fstat(descriptor).st_ino == remade.last.stat().st_ino:
            back.append(way(remade.last))
        return real(descriptor)

    monkeypatch.setattr(gathering, "_sha256", hashed)
    before = remade.stored()
    error = remade.refused()
    assert error.exit_code == 3
    assert "input-moved" in {problem.code for problem in error.problems if problem.where == remade.last.name}
    assert remade.stored() == before
    back[0]()
    remade.made()
    np.testing.assert_array_equal(remade.values(), remade.originals())
    assert_identities(remade)


def test_permission_that_is_lost_is_a_traceback(remade: Cube, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open
    lost = False

    def forbidden(path: Any, *rest: Any, **options: Any) -> int:
        if lost and str(path) == str(remade.last):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest, **options)

    def lose(path: Path) -> Back:
        nonlocal lost
        lost = True

        def back() -> None:
            nonlocal lost
            lost = False

        return back

    # Who runs the tests may be root, whom no mode of a file stops.
    monkeypatch.setattr(os, "open", forbidden)
    check(remade, Mover(remade.last, "listed", lose, monkeypatch), {"file-permission"})


@pytest.fixture
def nightly(cube: Cube, first_version: Path) -> Cube:
    """A published cube and its unchanged archive."""
    shutil.copytree(first_version / "cube", cube.folder / "cube")
    shutil.copytree(first_version / "archive", cube.archive)
    outcome = cube.build()
    assert (outcome.current, outcome.built) == (["tas"], [])
    return cube


@pytest.mark.parametrize(
    "way",
    ["empty folder", *(pytest.param(way, marks=pytest.mark.soak) for way in ("no folder", "empty files", "pages"))],
)
def test_archive_that_is_gone_at_night_is_an_empty_one(nightly: Cube, way: str) -> None:
    away = nightly.archive.rename(nightly.folder / "away")
    if way != "no folder":
        nightly.archive.mkdir()
    for number in range(FILES) if way in ("empty files", "pages") else ():
        nightly.file(number).write_bytes(b"" if way == "empty files" else b"<html>mount in progress</html>")
    before = nightly.stored()
    error = nightly.refused()
    assert error.exit_code == 3
    code = {"empty files": "file-empty", "pages": "file-unreadable"}.get(way, "files-none")
    assert {problem.code for problem in error.problems} == {code}
    assert nightly.stored() == before, "something was staged"
    shutil.rmtree(nightly.archive, ignore_errors=True)
    away.rename(nightly.archive)
    assert nightly.build().current == ["tas"]
    assert nightly.stored() == before


@pytest.mark.parametrize(
    ("lost", "options", "exit_code", "code", "said"),
    [
        ([1], "", 3, "time-gap", "2001-01-04 to 2001-01-06"),
        ([2, 3], "", 4, "retraction", "end at 2001-01-06"),
        ([0, 1], "", 4, "retraction", "start at 2001-01-07"),
        ([1], ", gaps: {max_days: 3}", 4, "retraction", "values"),
        ([0, 2], ", gaps: {max_days: 3}", 4, "retraction", "start at 2001-01-04"),
    ],
    ids=["hole", "end", "start", "declared hole", "half"],
)
def test_half_of_an_archive_is_published_at_night(
    nightly: Cube, lost: list[int], options: str, exit_code: int, code: str, said: str
) -> None:
    for number in lost:
        nightly.file(number).rename(nightly.folder / nightly.file(number).name)
    before, live, values = nightly.published(), nightly.manifest, nightly.values()
    nightly.options += options
    error = nightly.refused()
    assert error.exit_code == exit_code
    assert {problem.code for problem in error.problems} == {code}
    assert said in str(error)
    assert nightly.published() == before
    for number in lost:
        (nightly.folder / nightly.file(number).name).rename(nightly.file(number))
    nightly.options = FILES_HERE
    assert nightly.build().current == ["tas"]
    assert nightly.manifest == live
    np.testing.assert_array_equal(nightly.values(), values)


def test_file_whose_stamp_does_not_tell_is_what_is_documented(nightly: Cube, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes written in place with the size, the modification time and the inode kept (rewritten within one tick of the
    file system's clock, or a time set back) cannot be told from the listed file without reading all of it: only a
    build that has no remembered identity of it does. Values are always what the file held when it was read."""
    status = nightly.last.stat()
    overwritten(nightly.last)
    os.utime(nightly.last, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert nightly.last.stat().st_ino == status.st_ino
    assert nightly.build().current == ["tas"]
    monkeypatch.setenv("CUBE_CACHE", str(nightly.folder / "another"))
    nightly.made()
    np.testing.assert_array_equal(nightly.values(), nightly.originals())
    assert_identities(nightly)
