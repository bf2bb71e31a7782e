"""Windows of variables: every window equals the same part of the whole, whatever the layout of the files."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import reading
from ingest.opening import NativeFile

from .looking import look, values
from .small_files import field, write

ROUND = [float(each) for each in range(0, 360, 30)]  # twelve longitudes, 0..330
NORTH_FIRST = [20.0, 10.0, 0.0, -10.0, -20.0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files of a map that is stored north first and from 0 to 360, in chunks that divide nothing."""
    folder = tmp_path_factory.mktemp("windows")
    for number, (first, steps) in enumerate([(0, 7), (7, 5), (12, 11)]):
        write(folder / f"{number}.nc", field(first, steps, 5, 12), times=range(first, first + steps),
              latitudes=NORTH_FIRST, longitudes=ROUND, chunks=(3, 2, 5))  # fmt: skip
    return folder


def turned(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As published: south first, longitude from -180."""
    return np.roll(data[:, ::-1], 6, axis=2)


def part(draw: st.DrawFn, size: int) -> slice:
    low = draw(st.integers(0, size - 1))
    return slice(low, draw(st.integers(low + 1, size)))


@st.composite
def windows(draw: st.DrawFn) -> dict[str, slice]:
    return {"time": part(draw, 23), "lat": part(draw, 5), "lon": part(draw, 12)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(window=windows(), slab=st.sampled_from([1, 4000, 2**25]))
def test_every_window_is_a_part_of_the_whole(folder: Path, window: dict[str, slice], slab: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_SLAB_BYTES", slab)
        archive = look(folder, "*.nc")
        found = values(archive.variables["tas"], **window)
    np.testing.assert_array_equal(found, turned(field(0, 23, 5, 12))[tuple(window.values())])


def test_the_map_is_as_published(folder: Path) -> None:
    archive = look(folder, "*.nc")
    assert archive.coords["lon"].values.tolist() == [float(each) for each in range(-180, 180, 30)]
    assert archive.coords["lat"].values.tolist() == NORTH_FIRST[::-1]
    assert archive.variables["tas"].source_chunk == (3, 2, 5)


def test_pieces_travel_to_other_processes(folder: Path) -> None:
    variable = look(folder, "*.nc").variables["tas"]
    copy = pickle.loads(pickle.dumps(variable))
    assert copy.pieces == variable.pieces
    np.testing.assert_array_equal(values(copy), values(variable))


def test_one_open_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = look(folder, "*.nc").variables["tas"]
    opened: list[str] = []
    real = NativeFile.__init__

    def spy(self: NativeFile, path: str) -> None:
        opened.append(Path(path).name)
        real(self, path)

    monkeypatch.setattr(NativeFile, "__init__", spy)
    values(variable)
    assert opened == ["0.nc", "1.nc", "2.nc"]


def test_only_the_cells_of_the_window_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = look(folder, "*.nc").variables["tas"]
    cells: list[int] = []
    real = NativeFile.read

    def spy(self: NativeFile, name: str, index: Any = slice(None)) -> Any:
        raw = real(self, name, index)
        cells.append(raw.size)
        return raw

    monkeypatch.setattr(NativeFile, "read", spy)
    values(variable, time=slice(8, 10), lat=slice(1, 3), lon=slice(6, 9))
    assert cells == [2 * 2 * 3]


def test_a_gap_leaves_the_fill(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", field(0, 3), times=range(3))
    write(tmp_path / "b.nc", field(5, 3), times=range(5, 8))
    variable = look(tmp_path, "*.nc", gaps={"max_days": 2}).variables["tas"]
    found = values(variable, time=slice(2, 6))
    assert np.isnan(found[1:3]).all()
    np.testing.assert_array_equal(found[[0, 3]], field(2, 4)[[0, 3]])


@pytest.mark.parametrize(
    "file_format", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA", "NETCDF4_CLASSIC", "NETCDF4"]
)
def test_all_formats_of_netcdf(tmp_path: Path, file_format: str) -> None:
    write(tmp_path / "a.nc", field(0, 5), times=range(5), file_format=file_format)
    found = values(look(tmp_path, "*.nc").variables["tas"])
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, field(0, 5))


def test_an_identity_holds_all_that_decides_the_values(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", field(0, 5), times=range(5))
    plain = look(tmp_path, "*.nc").variables["tas"].pieces[0].identity()
    cut = look(tmp_path, "*.nc", area={"lat": [10.2, 11], "lon": [30, 32]}).variables["tas"].pieces[0].identity()
    later = look(tmp_path, "*.nc", period={"start": "2001-01-02"}).variables["tas"].pieces[0].identity()
    write(tmp_path / "a.nc", field(0, 5), times=range(5), attrs={"units": "degC"})
    warmer = look(tmp_path, "*.nc").variables["tas"].pieces[0].identity()
    assert len({plain, cut, later, warmer}) == 4
