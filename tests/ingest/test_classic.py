"""The length of classic NetCDF files: netCDF itself reads what is missing as zeros."""

from __future__ import annotations

import io
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.classic import TruncatedHeaderError, expected_bytes

FORMATS = ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA")


def length_of(data: bytes) -> int | None:
    return expected_bytes(io.BytesIO(data))


def classic(path: Path, file_format: str, records: int, record_types: list[str], fixed_types: list[str]) -> bytes:
    with netCDF4.Dataset(path, "w", format=file_format) as dataset:
        dataset.title = "abc"
        dataset.createDimension("time", None)
        dataset.createDimension("x", 3)
        for number, kind in enumerate(fixed_types):
            dataset.createVariable(f"fixed{number}", kind, ("x",))[:] = 1
        for number, kind in enumerate(record_types):
            variable = dataset.createVariable(f"record{number}", kind, ("time", "x"))
            variable.units = "m"
            variable[:records] = np.ones((records, 3))
    return path.read_bytes()


@settings(max_examples=40, deadline=None)
@given(
    file_format=st.sampled_from(FORMATS),
    records=st.integers(0, 5),
    record_types=st.lists(st.sampled_from(["i1", "i2", "i4", "f4", "f8"]), max_size=3),
    fixed_types=st.lists(st.sampled_from(["i1", "i2", "f8"]), max_size=2),
)
def test_every_cut_of_a_classic_file_is_noticed(
    tmp_path_factory: pytest.TempPathFactory,
    file_format: str,
    records: int,
    record_types: list[str],
    fixed_types: list[str],
) -> None:
    path = tmp_path_factory.mktemp("classic") / "f.nc"
    data = classic(path, file_format, records if record_types else 0, record_types, fixed_types)
    expected = length_of(data)
    assert expected is not None
    # Only padding may follow the last value.
    assert len(data) - 4 < expected <= len(data)
    for cut in range(4, len(data), 7):
        try:
            needed = length_of(data[:cut])
        except TruncatedHeaderError:
            continue
        assert needed == expected


def test_netcdf_reads_zeros_where_a_file_was_cut(tmp_path: Path) -> None:
    """The reason for all this: were it no longer so, the check could go."""
    data = classic(tmp_path / "f.nc", FORMATS[0], 4, ["f4"], [])
    (tmp_path / "cut.nc").write_bytes(data[:-20])
    with netCDF4.Dataset(tmp_path / "cut.nc") as dataset:
        assert dataset["record0"][3, 2] == 0


def test_hdf5_files_are_not_judged(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "f.nc", "w") as dataset:
        dataset.createDimension("x", 1)
    assert length_of((tmp_path / "f.nc").read_bytes()) is None


@pytest.mark.shared
def test_real_classic_files_are_whole(shared: Path) -> None:
    judged = 0
    for path in sorted((shared / "data").glob("**/*.nc")):
        with path.open("rb") as file:
            expected = expected_bytes(file)
        if expected is not None:
            judged += 1
            assert expected <= path.stat().st_size, path.name
    assert judged == 26
