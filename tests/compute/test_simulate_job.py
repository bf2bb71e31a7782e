"""The column through the engine: balance, segments, continuing, and what is refused before anything is computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.compute import chain

THICKNESS = (0.1, 0.25, 0.65, 2.0)  # m


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_water_is_lost_between_states(whole: Path) -> None:
    cube = chain.opened(whole)
    found, soil = cube["column-historical"], cube["soil"]
    pr, _ = chain.weather("historical")
    states = found["state"].values.astype("f8")
    layers = 1000 * np.asarray(THICKNESS)[None, :, None, None] * soil["sm_sat"].values.astype("f8")[None, None]
    water = (states[:, :4] * layers).sum(axis=1) + states[:, 4]
    # Days of two years, leap days included, as `layout.segment` counts them.
    ends = found["segment"].values
    first, last = (int((end - np.datetime64("2001-01-01")) / np.timedelta64(1, "D")) for end in ends[:2])
    assert (first, last) == (731, 1462)
    part = slice(first, last)
    gone = sum(found[name].values[part].astype("f8").sum(axis=0) for name in ("fqw_gb", "surf_roff", "sub_surf_roff"))
    expected = pr[part].astype("f8").sum(axis=0) - 86400 * gone
    change = water[1] - water[0]
    assert np.isnan(change[chain.SEA])
    # Fluxes are published in single precision.
    np.testing.assert_allclose(change, expected, atol=0.02)
    assert np.nanmax(np.abs(change)) > 1


def test_sea_is_simulated_or_land_is_missing(whole: Path) -> None:
    for name in ("column-historical", "column-future"):
        found = chain.opened(whole)[name]
        missing = np.isnan(found["smcl"].values).all(axis=(0, 1))
        assert missing[chain.SEA]
        assert np.count_nonzero(missing) == 1
        assert not np.isnan(np.delete(chain.flat(found["fsmc"]), np.ravel_multi_index(chain.SEA, (5, 4)), -1)).any()


ONCE = """
  weather: {job: ingest, collection: inputs, source: cf, files: [historical-*.nc, future-*.nc]}
""" + chain.LAND.replace("weather-historical", "weather")
COLUMN_ONCE = """
  column:
    {job: simulate, collection: land, pr: weather, tas: weather, soil: soil, spin_up: {years: 1, cycles: 3}}
"""


def test_segments_or_continuing_show_in_the_numbers(whole: Path, folder: Path) -> None:
    assert not chain.built(chain.archive(folder), ONCE + COLUMN_ONCE).failed
    once = chain.opened(folder)["column"]
    cube = chain.opened(whole)
    for name in ("smcl", "fsmc", "surf_roff", "sub_surf_roff", "fqw_gb"):
        parts = [cube[f"column-{run}"][name].values for run in ("historical", "future")]
        np.testing.assert_array_equal(np.concatenate(parts), once[name].values, err_msg=name)


def refused(folder: Path, products: str) -> tuple[set[str], dict[str, Any]]:
    """Codes of what keeps the column from being made, and its ledger's blocks."""
    outcome = chain.built(folder, products)
    error = outcome.failed["column"]
    staged = list((folder / "cube/land/column").glob("*/ledger/time/**/*.json"))
    return {problem.code for problem in error.problems}, {path.name: json.loads(path.read_text()) for path in staged}


def changed(kind: str) -> dict[str, Any]:
    pr, tas = chain.weather("historical")
    if kind == "gap":
        pr[500, 1, 1] = np.nan
    elif kind == "flood":
        pr[500, 1, 1] = 5000
    elif kind == "celsius":
        tas -= 273.15
    return {"pr": pr, "tas": tas}


@pytest.mark.parametrize(
    ("kinds", "codes"),
    [
        (["gap"], {"forcing-gap"}),
        (["flood"], {"forcing-illegal"}),
        (["celsius"], {"forcing-illegal"}),
    ],
)
def test_weather_that_is_none_is_computed_with(folder: Path, kinds: list[str], codes: set[str]) -> None:
    chain.archive(folder)
    for kind in kinds:
        chain.write_weather(folder, "historical", **changed(kind))
    found, blocks = refused(folder, ONCE + COLUMN_ONCE.replace("cycles: 3}", "cycles: 1}"))
    assert found == codes
    assert not blocks


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ("tas: weather, soil: soil, spin_up: {years: 9}", {"spin-up-too-long"}),
        ("tas: weather, soil: texture", {"statics-missing"}),
        ("tas: texture, soil: soil", {"variable-unknown", "not-daily"}),
        ("tas: weather, soil: soil, period: {start: 2030}", {"no-common-days"}),
        ("tas: weather, soil: soil, continues: rain-mean", {"not-continued"}),
    ],
)
def test_inputs_that_do_not_fit_are_found_when_it_is_too_late(folder: Path, options: str, codes: set[str]) -> None:
    products = ONCE + f"\n  column: {{job: simulate, collection: land, pr: weather, {options}}}\n"
    found, blocks = refused(chain.archive(folder), products)
    assert found <= codes
    assert found
    assert not blocks


def test_a_product_that_ended_earlier_is_continued(folder: Path) -> None:
    products = (
        chain.WEATHER
        + chain.LAND
        + chain.COLUMN.replace("segment: 2 years}", "segment: 2 years}\n    period: {end: 2004}")
    )
    outcome = chain.built(chain.archive(folder), products)
    (problem,) = outcome.failed["column-future"].problems
    assert problem.code == "not-continued"
    assert "2004-12-31" in problem.what
    assert "2006-01-01" in problem.what


def test_grids_are_mixed(folder: Path) -> None:
    chain.archive(folder)
    chain.write_statics(folder)
    import xarray as xr

    with xr.open_dataset(folder / "statics.nc") as file:
        moved = file.load().assign_coords(lon=file["lon"] + 0.5)
    moved.to_netcdf(folder / "statics.nc")
    found, _ = refused(folder, ONCE + COLUMN_ONCE)
    assert found == {"cells-differ"}
