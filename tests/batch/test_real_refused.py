"""Real files that must be refused, all in one specification: each in its own words, and nothing of them published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .published import Published, built_once

pytestmark = [pytest.mark.shared, pytest.mark.xdist_group("real-refused")]

SPEC = """
title: Refused
store: ./cube
memory: 2 GiB
cluster: {{kind: local, workers: 0}}
products:
  chirps: {{job: ingest, collection: sound, source: cf, files: "{data}/chirps-nevada-daily/*.nc*"}}
  mpiesm: {{job: ingest, collection: sound, source: cf, files: "{data}/mpiesm12hr-dcpp-pr-daily/*.nc"}}
  lying-names:
    {{job: ingest, collection: bad, source: cf, files: "{data}/era5-ghana-swvl1-2019/*.nc",
      variables: [swvl1], gaps: {{max_days: 7}}}}
  lying-names-with-holes:
    {{job: ingest, collection: bad, source: cf, files: "{data}/era5-ghana-swvl1-2019/*.nc", variables: [swvl1]}}
  duplicate-month: {{job: ingest, collection: bad, source: cf, files: "{data}/hadgem2es-rcp85-tas-monthly/*.nc"}}
  years: {{job: ingest, collection: bad, source: cf, files: "{data}/isimip2b-impacts/*.nc"}}
  lists: {{job: ingest, collection: bad, source: cf, files: "{data}/smap-ghana-2019-lists/*.nc"}}
  no-rows: {{job: ingest, collection: bad, source: cf, files: "{data}/smap-egypt-2024-lists/*.nc"}}
  three-series:
    {{job: ingest, collection: bad, source: cf, files: "{data}/xclim-pr-tas-expected/cffdrs_test_wDC.nc"}}
  two-maps: {{job: ingest, collection: bad, source: cf, files: "{data}/land-masks-025deg/*.nc*"}}
  two-periods:
    job: ingest
    collection: bad
    source: cf
    files: ["{data}/access-esm15-monthly/pr_*.nc", "{data}/access-esm15-monthly/tas_*_ssp126_*.nc"]
  no-such-files: {{job: ingest, collection: bad, source: cf, files: "{data}/not-mounted/*.nc"}}
  dry-days-mpiesm: {{job: metric, collection: sound, metric: dry_days, input: mpiesm, threshold: 1 mm d-1}}
  dry-days-lists: {{job: metric, collection: bad, metric: dry_days, input: lists, threshold: 1 mm d-1}}
"""
SOUND = ["chirps", "mpiesm", "dry-days-mpiesm"]
FALSE_NAMES = ["ERA5_20190430_20190402.nc", "ERA5_20190730_20190701.nc", "ERA5_20191231_20191202.nc"]
OUTAGE = [
    "SMAP_20190625_20190627.nc",
    "SMAP_20190702_20190704.nc",
    "SMAP_20190709_20190711.nc",
    "SMAP_20190716_20190718.nc",
]


@pytest.fixture(scope="session")
def refused(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    def prepare(folder: Path) -> None:
        (folder / "cube.yaml").write_text(SPEC.format(data=shared / "data"))
        result = Published(folder).run("build", "--json")
        (folder / "outcome.json").write_text(result.stdout)
        (folder / "exit-code").write_text(str(result.exit_code))

    return built_once(tmp_path_factory, "real-refused", prepare, build=False)


@pytest.fixture(scope="session")
def outcome(refused: Published) -> Any:
    return json.loads((refused.folder / "outcome.json").read_text())


def problems(outcome: Any, product: str) -> list[tuple[str, str]]:
    """(code, where) of each problem of a product."""
    return [(each["code"], each["where"]) for each in outcome["failed"][product]["problems"]]


def texts(outcome: Any, product: str) -> list[str]:
    return [" ".join((each["what"], each["danger"], each["fix"])) for each in outcome["failed"][product]["problems"]]


def test_exit_code_says_that_the_input_is_sound(refused: Published, outcome: Any) -> None:
    assert (refused.folder / "exit-code").read_text() == "3"
    assert outcome["exit_code"] == 3
    assert set(outcome["failed"]) == {
        "lying-names",
        "lying-names-with-holes",
        "duplicate-month",
        "years",
        "lists",
        "no-rows",
        "three-series",
        "two-maps",
        "two-periods",
        "no-such-files",
    }
    assert {each["exit_code"] for each in outcome["failed"].values()} == {3}


def test_anything_of_a_refused_product_is_published(refused: Published) -> None:
    assert sorted(refused.items()) == sorted(SOUND)
    written = {path.parent.name for path in refused.store.glob("*/*/*.json")}
    assert written == set(SOUND)
    assert not (refused.store / "bad").exists()


def test_sound_products_wait_for_refused_ones(refused: Published, outcome: Any) -> None:
    assert [each["name"] for each in outcome["built"]] == SOUND
    assert outcome["waiting"] == {"dry-days-lists": "lists"}
    assert refused.open("chirps")["precip"].shape == (62, 8, 18)
    rows = {row["product"]: row["version"] for row in json.loads(refused.run("status", "--json").stdout)}
    assert {name for name, version in rows.items() if version} == set(SOUND)


def test_names_that_lie_are_believed(outcome: Any) -> None:
    assert problems(outcome, "lying-names") == [("name-false", name) for name in FALSE_NAMES]
    first = texts(outcome, "lying-names")[0]
    assert "the name says 2019-04-30 to 2019-04-02, the file holds 2019-04-01 to 2019-04-30" in first
    assert "names: ignore" in first


def test_first_problem_hides_the_others(outcome: Any) -> None:
    found = problems(outcome, "lying-names-with-holes")
    assert found[:3] == [("name-false", name) for name in FALSE_NAMES]
    assert [code for code, _ in found[3:]] == ["time-gap"]
    holes = texts(outcome, "lying-names-with-holes")[3]
    assert "52 holes" in holes
    assert "gaps:" in holes


def test_month_with_two_values_names_one_file(outcome: Any) -> None:
    ((code, where),) = problems(outcome, "duplicate-month")
    assert code == "time-duplicate"
    assert "_208012-209912.nc and " in where
    assert where.endswith("_209912-212411.nc")
    (text,) = texts(outcome, "duplicate-month")
    assert "2099-12-01" in text
    assert "duplicates: first" in text


def test_years_of_no_fixed_length_are_decoded(outcome: Any) -> None:
    found = {where: code for code, where in problems(outcome, "years")}
    undecodable = sorted(where.split("_")[0] for where, code in found.items() if code == "time-undecodable")
    assert undecodable == ["histsoc", "lpjml"]
    assert [where.split("_")[0] for where, code in found.items() if code == "grid-differs"] == ["gepic"]
    assert len(found) == 3
    joined = " ".join(texts(outcome, "years"))
    assert "years since 1661-01-01" in joined
    assert "years since 850-1-1" in joined
    assert "source: isimip" in joined


def test_outage_is_skipped_in_silence(outcome: Any) -> None:
    found = problems(outcome, "lists")
    assert found[:4] == [("no-variables", name) for name in OUTAGE]
    assert [code for code, _ in found[4:]] == ["grid-points-differ"]
    assert "it holds no data variable" in texts(outcome, "lists")[0]
    assert "lists without a grid are not supported" in texts(outcome, "lists")[4]


def test_file_without_rows_is_an_empty_day(outcome: Any) -> None:
    found = problems(outcome, "no-rows")
    assert ("file-no-rows", "SMAP_Egypt_2024-01-02.nc") in found
    assert "the dimension index has length zero" in " ".join(texts(outcome, "no-rows"))


def test_three_series_are_read_as_one(outcome: Any) -> None:
    assert problems(outcome, "three-series") == [("time-not-monotonic", "cffdrs_test_wDC.nc")]
    assert "do not increase after step 730 of 2192" in texts(outcome, "three-series")[0]


def test_maps_are_joined_by_index(outcome: Any) -> None:
    assert problems(outcome, "two-maps") == [("grid-differs", "landmask_0.25_0.25.nc")]
    assert "lat 721" in texts(outcome, "two-maps")[0]
    assert "lat 600" in texts(outcome, "two-maps")[0]


def test_variables_of_different_periods_share_an_extent(outcome: Any) -> None:
    assert {code for code, _ in problems(outcome, "two-periods")} == {"variables-period"}
    rain, temperature = sorted(texts(outcome, "two-periods"))
    assert rain.startswith("pr: the files cover 2000-01-01 to 2014-12-01")
    assert temperature.startswith("tas: the files cover 2015-01-01 to 2025-12-01")


def test_archive_that_is_not_mounted_looks_empty(outcome: Any) -> None:
    ((code, _),) = problems(outcome, "no-such-files")
    assert code == "files-none"
    assert "mount the archive" in texts(outcome, "no-such-files")[0]


def test_people_are_told_less_than_machines(refused: Published, outcome: Any) -> None:
    result = refused.run("build")
    assert result.exit_code == 3
    said = " ".join(result.output.split())
    for product, error in outcome["failed"].items():
        assert f"{product}: nothing of it is published" in said
        for problem in error["problems"]:
            assert f"[{problem['code']}]" in said
            assert problem["what"] in said
            assert problem["fix"] in said
    assert "dry-days-lists: not tried, it is made from lists" in said
