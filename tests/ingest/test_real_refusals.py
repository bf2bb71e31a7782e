"""Real archive files that must be refused, with the right words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .looking import codes, look, refused, values

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    return shared / "data"


def test_names_that_lie_are_reported_with_the_holes(data: Path) -> None:
    problems = refused(data, "era5-ghana-swvl1-2019/*.nc")
    false = [problem for problem in problems if problem.code == "name-false"]
    assert [problem.where for problem in false] == [
        "ERA5_20190430_20190402.nc",
        "ERA5_20190730_20190701.nc",
        "ERA5_20191231_20191202.nc",
    ]
    assert "2019-04-01 to 2019-04-30" in false[0].what
    assert "names: ignore" in false[0].fix
    gaps = [problem for problem in problems if problem.code == "time-gap"]
    assert len(gaps) == 1
    assert "52 holes" in gaps[0].what
    assert "gaps:" in gaps[0].fix
    assert len(problems) == 4


def test_a_month_with_two_values_names_both_files(data: Path) -> None:
    (problem,) = refused(data, "hadgem2es-rcp85-tas-monthly/*.nc")
    assert problem.code == "time-duplicate"
    assert "208012-209912.nc and " in problem.where
    assert "209912-212411.nc" in problem.where
    assert "2099-12-01 (1 step)" in problem.what
    assert "duplicates: first" in problem.fix


@pytest.mark.parametrize(("rule", "december"), [("first", 283.8446), ("last", 285.43945)])
def test_a_rule_settles_the_month(data: Path, rule: str, december: float) -> None:
    archive = look(data, "hadgem2es-rcp85-tas-monthly/*.nc", duplicates=rule)
    assert archive.time is not None
    assert archive.time.count == 1428
    found = values(archive.variables["tas"]).astype(np.float64)
    at = [archive.time.text(step) for step in range(1428)].index("2099-12-01")
    assert found[at, 1, 1] == pytest.approx(december, abs=1e-4)
    assert any("differs in" in note and "is used" in note for note in archive.notes)
    if rule == "first":
        assert found.mean() == pytest.approx(262.16936209, rel=1e-8)


def test_years_of_no_fixed_length_are_undecodable(data: Path) -> None:
    (problem,) = refused(data, "isimip2b-impacts/lpjml*.nc")
    assert problem.code == "time-undecodable"
    assert "years since 1661-01-01" in problem.what
    assert "source: isimip" in problem.fix


def test_impacts_of_several_models_are_no_product(data: Path) -> None:
    problems = refused(data, "isimip2b-impacts/*.nc", "isimip")
    mixed = {problem.what.split(":")[0] for problem in problems if problem.code == "name-mixed"}
    assert mixed == {f"the files differ in {field}" for field in ("gcm", "soc", "model")}


def test_files_without_variables_and_lists_of_points(data: Path) -> None:
    problems = refused(data, "smap-ghana-2019-lists/*.nc")
    empty = [problem.where for problem in problems if problem.code == "no-variables"]
    assert empty == [
        f"SMAP_{name}.nc"
        for name in ("20190625_20190627", "20190702_20190704", "20190709_20190711", "20190716_20190718")
    ]
    assert codes(problems)[-1] == "grid-points-differ"


def test_a_file_with_zero_rows(data: Path) -> None:
    problems = refused(data, "smap-egypt-2024-lists/*.nc")
    assert ("file-no-rows", "SMAP_Egypt_2024-01-02.nc") in [(each.code, each.where) for each in problems]


def test_lists_are_no_files_of_smap(data: Path) -> None:
    (problem,) = refused(data, "smap-ghana-2019-lists/*.nc", "smap")
    assert problem.code == "no-variables"
    assert "Soil_Moisture_Retrieval_Data_AM" in problem.what
    assert problem.where.startswith("53 files")


def test_three_series_in_one_file(data: Path) -> None:
    (problem,) = refused(data, "xclim-pr-tas-expected/cffdrs_test_wDC.nc")
    assert problem.code == "time-not-monotonic"
    assert "730" in problem.what


def test_grib_is_named(data: Path) -> None:
    (problem,) = refused(data, "era5-uk-t2m-2019-03-grib/*.grib")
    assert problem.code == "file-unreadable"
    assert "GRIB" in problem.what


def test_one_time_without_bounds_needs_a_step(data: Path) -> None:
    (problem,) = refused(data, "uk-tmean-1910-osgb/*.nc")
    assert problem.code == "time-step-unknown"
    assert "step" in problem.fix


def test_two_records_of_one_name_do_not_join(data: Path) -> None:
    # daily percent and monthly m3 m-3 both call it sm
    problems = refused(data, ["c3s-sm-daily-active-1991/*.nc", "c3s-sm-monthly-combined-2018/*.nc"], variables=["sm"])
    assert "unit-convert" in codes(problems)


def test_two_maps_do_not_join(data: Path) -> None:
    problems = refused(data, ["access-esm15-monthly/tas*hist*.nc", "hadgem2es-rcp85-tas-monthly/*200512*.nc"])
    assert "grid-differs" in codes(problems)
    assert "time-calendar" not in codes(problems)  # the file is already out
