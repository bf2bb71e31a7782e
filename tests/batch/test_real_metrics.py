"""Metrics of real files against plain counting on the originals, and the counts of `SOURCES.md`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from .published import Published, as_rates, dates, files, original
from .real_cube import real_cube

pytestmark = [pytest.mark.shared, pytest.mark.xdist_group("real-samples")]


@pytest.fixture(scope="session")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return real_cube(shared, tmp_path_factory)


@pytest.fixture(scope="session")
def data(shared: Path) -> Path:
    return shared / "data"


def test_dry_days_are_miscounted(real: Published, data: Path) -> None:
    flux = original(files(data, "mpiesm12hr-dcpp-pr-daily/*.nc"), "pr")
    rain = flux.copy(data=as_rates(flux).astype("f4"))
    dry, valid = ((rain < 1).groupby("time.year").sum(), rain.groupby("time.year").count())
    found = real.open("dry-days-mpiesm").load()
    assert [date[0] for date in dates(found["time"])] == list(range(1961, 1971))  # 1960 has 61 days
    np.testing.assert_array_equal(found["valid_days"].values, valid.values[1:])
    np.testing.assert_array_equal(found["dry_days"].values, dry.values[1:])
    cell = found["dry_days"].sel(lat=4.20778, lon=0, method="nearest").values
    assert cell.tolist() == [154, 162, 189, 188, 181, 192, 207, 174, 164, 169]
    raw = real.open("dry-days-mpiesm", mask_and_scale=False)["dry_days"]
    assert (raw.dtype, raw.attrs["_FillValue"]) == (np.int16, -32768)


def test_dry_days_without_leap_days_lose_their_places(real: Published, data: Path) -> None:
    found = real.open("dry-days-canesm2").load()
    (path,) = files(data, "xclim-pr-tas-expected/CanESM2_1950-2100.nc")
    with xr.open_dataset(path) as dataset:
        rain = dataset["pr"].transpose("time", "location")
        dry = (rain.copy(data=as_rates(rain).astype("f4")) < 1).groupby("time.year").sum()
        np.testing.assert_array_equal(found["dry_days"].values, dry.values)
        np.testing.assert_array_equal(found.coords["lat"].values, dataset["lat"].values)
    assert set(found["valid_days"].values.ravel().tolist()) == {365}
    years = found["dry_days"].assign_coords(time=found["time"].dt.year)
    assert years.sel(time=1950).values.tolist()[:2] == [217, 181]
    normal = years.sel(time=slice(1971, 2000)).mean("time").values
    assert normal[:2] == pytest.approx([209.0, 177.0333], abs=1e-4)
