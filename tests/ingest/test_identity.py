"""What files are and hold: remembered while they stay the same, never longer."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cube.errors import InputError
from ingest import gathering, reading
from ingest.discovery import discover
from ingest.gathering import take_inventory

from .looking import codes, look, refused, values
from .small_files import daily, field, write


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were opened to gather facts."""
    seen: list[str] = []
    real = gathering._gather

    def spy(found: Any, *rest: Any) -> Any:
        seen.append(found.name)
        return real(found, *rest)

    monkeypatch.setattr(gathering, "_gather", spy)
    return seen


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (path,) = daily(tmp_path, [0])
    (file,) = look(tmp_path, "*.nc", step="day").files
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (file.bytes, file.name, file.location) == (path.stat().st_size, path.name, str(path))


def test_unchanged_files_are_not_opened_again(tmp_path: Path, looked_at: list[str]) -> None:
    daily(tmp_path, range(4))
    first = look(tmp_path, "*.nc")
    assert len(looked_at) == 4
    second = look(tmp_path, "*.nc")
    assert len(looked_at) == 4
    assert first.files == second.files
    assert [piece.identity() for piece in first.variables["tas"].pieces] == [
        piece.identity() for piece in second.variables["tas"].pieces
    ]


def test_only_a_changed_file_is_looked_at_again(tmp_path: Path, looked_at: list[str]) -> None:
    paths = daily(tmp_path, range(4))
    before = look(tmp_path, "*.nc")
    write(paths[2], field(9, 1), times=[2.0])
    looked_at.clear()
    after = look(tmp_path, "*.nc")
    assert looked_at == ["tas_002.nc"]
    assert [old.sha256 == new.sha256 for old, new in zip(before.files, after.files, strict=True)] == [
        True,
        True,
        False,
        True,
    ]
    assert values(after.variables["tas"])[2, 0, 0] == 9000


def test_a_replaced_file_of_equal_size_and_time_is_noticed(tmp_path: Path, looked_at: list[str]) -> None:
    paths = daily(tmp_path, range(3))
    look(tmp_path, "*.nc")
    status = paths[1].stat()
    write(tmp_path / "new", field(5, 1), times=[1.0])
    os.utime(tmp_path / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / "new").rename(paths[1])
    assert paths[1].stat().st_size == status.st_size
    looked_at.clear()
    assert values(look(tmp_path, "*.nc").variables["tas"])[1, 0, 0] == 5000
    assert looked_at == ["tas_001.nc"]


@pytest.mark.parametrize("damage", ["garbage", "other tables", "wrong facts", "lost blobs"])
def test_a_broken_cache_is_ignored(tmp_path: Path, own_cache: Path, damage: str) -> None:
    daily(tmp_path, range(3))
    expected = values(look(tmp_path, "*.nc").variables["tas"])
    base = own_cache / "identities" / "files.sqlite"
    if damage == "garbage":
        base.write_bytes(b"no database at all" * 99)
    else:
        statement = {
            "other tables": "DROP TABLE files",
            "wrong facts": "UPDATE files SET facts = '{\"nonsense\": 1}'",
            "lost blobs": "DELETE FROM blobs",
        }[damage]
        with sqlite3.connect(base) as connection:
            connection.execute(statement)
        connection.close()
    np.testing.assert_array_equal(values(look(tmp_path, "*.nc").variables["tas"]), expected)


def test_without_a_place_for_the_cache_all_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "file" / "below"))
    daily(tmp_path, range(3))
    assert look(tmp_path, "*.nc").time is not None


def test_bad_files_are_looked_at_every_time(tmp_path: Path, looked_at: list[str]) -> None:
    paths = daily(tmp_path, range(3))
    whole = paths[2].read_bytes()
    paths[2].write_bytes(whole[:200])
    refused(tmp_path, "*.nc")
    paths[2].write_bytes(whole)
    assert look(tmp_path, "*.nc").time is not None
    assert looked_at.count("tas_002.nc") == 2


def test_many_files_in_parallel_are_as_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    daily(tmp_path, range(20))
    found = discover(["*.nc"], tmp_path)
    alone = take_inventory(found, "", True)
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(gathering, "_ALONE", 5)
    monkeypatch.setattr(gathering, "_BATCH", 3)
    seen: list[tuple[int, int]] = []
    together = take_inventory(found, "", True, lambda done, total: seen.append((done, total)))
    assert together == alone
    assert seen[-1] == (20, 20)


def test_a_file_that_changes_after_the_listing_fails_the_run(tmp_path: Path) -> None:
    paths = daily(tmp_path, range(3))
    archive = look(tmp_path, "*.nc")
    write(paths[1], field(8, 1), times=[1.0])
    with pytest.raises(InputError) as caught:
        values(archive.variables["tas"])
    assert codes(caught.value.problems) == ["input-moved"]
    assert caught.value.problems[0].where == "tas_001.nc"


def test_a_file_that_goes_away_fails_the_run(tmp_path: Path) -> None:
    paths = daily(tmp_path, range(3))
    archive = look(tmp_path, "*.nc")
    paths[1].unlink()
    with pytest.raises(InputError) as caught:
        values(archive.variables["tas"])
    assert codes(caught.value.problems) == ["file-missing"]


@pytest.mark.parametrize("how", ["rewritten", "replaced"])
def test_a_file_that_changes_while_it_is_read_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    paths = daily(tmp_path, range(3))
    archive = look(tmp_path, "*.nc")
    real = reading._read_piece

    def late(native: Any, variable: Any, piece: Any, *rest: Any) -> None:
        real(native, variable, piece, *rest)
        if piece.file.name == "tas_001.nc":
            data = paths[1].read_bytes()
            target = paths[1] if how == "rewritten" else tmp_path / "new"
            target.write_bytes(data)
            if how == "replaced":
                target.rename(paths[1])
            else:
                os.utime(paths[1], ns=(1, 1))

    monkeypatch.setattr(reading, "_read_piece", late)
    with pytest.raises(InputError) as caught:
        values(archive.variables["tas"])
    assert codes(caught.value.problems) == ["input-moved"]
