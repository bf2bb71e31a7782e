from __future__ import annotations

import copy
import datetime
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pystac
import pytest

from cube.hashing import readable
from stac.datacube import cell_methods
from stac.validation import validate

Compose = Callable[..., dict[str, Any]]
PRODUCTS = (
    "rain-hadgem2-es",
    "haduk-rainfall",
    "tamsat-monthly",
    "soil-properties",
    "dry-days",
    "isimip-rcp60",
    "equal-area",
    "jules-mead",
)


def links(item: dict[str, Any], rel: str) -> list[dict[str, Any]]:
    return [link for link in item["links"] if link["rel"] == rel]


@pytest.mark.shared
@pytest.mark.parametrize("product", PRODUCTS)
def test_item_is_valid_against_core_and_extensions(
    product: str, manifests: dict[str, Any], compose: Compose, shared: Path
) -> None:
    problems = validate(compose(manifests[product]), shared / "stac-schemas")
    unchecked = [problem.what for problem in problems if problem.code == "stac-not-checked"]
    assert [str(problem) for problem in problems if problem.code != "stac-not-checked"] == []
    # Only the projection extension's schema is not at hand.
    assert all("/projection/v2.0.0/" in what for what in unchecked)
    assert bool(unchecked) == (product in {"haduk-rainfall", "equal-area"})


@pytest.mark.parametrize("product", PRODUCTS)
def test_json_never_holds_nan_or_infinity(product: str, manifests: dict[str, Any], compose: Compose) -> None:
    def refuse(token: str) -> None:
        raise AssertionError(token)

    json.loads(json.dumps(compose(manifests[product])), parse_constant=refuse)


@pytest.mark.parametrize("product", PRODUCTS)
def test_pystac_reads_the_item(product: str, manifests: dict[str, Any], compose: Compose) -> None:
    item = pystac.Item.from_dict(compose(manifests[product]))
    assert item.id == product
    assert item.datetime or item.common_metadata.end_datetime
    assert item.properties["version"] == "0123456789ab-1"
    assert item.properties["deprecated"] is False


@pytest.mark.parametrize("product", PRODUCTS)
def test_recomposing_gives_identical_bytes(product: str, manifests: dict[str, Any], compose: Compose) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = random.Random(1).sample(sorted(value), len(value))
            return {key: shuffled(value[key]) for key in keys}
        return value

    value = manifests[product]
    assert readable(compose(value)) == readable(compose(shuffled(copy.deepcopy(value))))


def test_other_times_change_only_created_and_updated(rain: dict[str, Any], compose: Compose) -> None:
    before, after = compose(rain), compose(rain, published=datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC))
    assert after["properties"].pop("updated") == "2027-01-01T00:00:00Z"
    assert before["properties"].pop("updated") == "2026-11-22T08:30:00Z"
    assert before == after


def test_time_without_zone_is_refused(rain: dict[str, Any], compose: Compose) -> None:
    with pytest.raises(ValueError, match="time zone"):
        compose(rain, published=datetime.datetime(2026, 1, 1))


def test_360_day_axis_keeps_its_calendar_beside_gregorian_datetimes(rain: dict[str, Any], compose: Compose) -> None:
    properties = compose(rain)["properties"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] == "2005-12-01T00:00:00Z"
    assert properties["end_datetime"] == "2007-11-30T23:59:59Z"
    assert properties["cic:calendar"] == "360_day"
    time = properties["cube:dimensions"]["time"]
    # 35 years and 11 months of 360 and 30 days after 1970-01-01.
    assert time["extent"] == [35 * 360 + 11 * 30, 35 * 360 + 11 * 30 + 719]
    assert (time["unit"], time["reference_system"], time["step"]) == ("days since 1970-01-01 00:00:00", "360_day", 1)
    assert time["cic:extent"] == ["2005-12-01", "2007-11-30"]
    assert "360_day" in properties["description"]


@pytest.mark.shared
def test_30_february_becomes_the_last_day_and_says_so(
    rain: dict[str, Any], compose: Compose, extent_of: Callable[..., Any], shared: Path
) -> None:
    rain["extent"]["time"] = extent_of("day", "360_day", (2005, 2, 29), 362)
    assert rain["extent"]["time"]["end"] == "2006-02-30"
    item = compose(rain)
    properties = item["properties"]
    assert properties["start_datetime"] == "2005-02-28T00:00:00Z"
    assert properties["end_datetime"] == "2006-02-28T23:59:59Z"
    assert properties["cic:time"]["end"] == "2006-02-30"
    assert properties["cube:dimensions"]["time"]["cic:extent"] == ["2005-02-29", "2006-02-30"]
    assert "the month's last day" in properties["description"]
    assert validate(item, shared / "stac-schemas") == []


def test_end_is_the_last_second_of_the_last_month(manifests: dict[str, Any], compose: Compose) -> None:
    properties = compose(manifests["tamsat-monthly"])["properties"]
    assert properties["start_datetime"] == "2017-09-01T00:00:00Z"
    assert properties["end_datetime"] == "2018-02-28T23:59:59Z"
    assert properties["cube:dimensions"]["time"] == {
        "type": "temporal",
        "description": "start of each period",
        "extent": ["2017-09-01T00:00:00Z", "2018-02-01T00:00:00Z"],
        "step": "P1M",
    }


def test_years_of_360_days_are_regular_and_gregorian_months_of_noleap_are_not(
    manifests: dict[str, Any], compose: Compose, extent_of: Callable[..., Any]
) -> None:
    value = manifests["dry-days"]
    assert compose(value)["properties"]["cube:dimensions"]["time"]["step"] == 360
    value["extent"]["time"] = extent_of("month", "noleap", (2001, 1, 1), 4)
    assert compose(value)["properties"]["cube:dimensions"]["time"]["step"] is None


def test_sub_daily_axis_keeps_its_hours(rain: dict[str, Any], compose: Compose, extent_of: Callable[..., Any]) -> None:
    rain["extent"]["time"] = extent_of("6 hours", "standard", (2001, 1, 1), 3)
    properties = compose(rain)["properties"]
    assert properties["end_datetime"] == "2001-01-01T17:59:59Z"
    time = properties["cube:dimensions"]["time"]
    assert time["extent"] == ["2001-01-01T00:00:00Z", "2001-01-01T12:00:00Z"]
    assert time["step"] == "PT6H"


def test_product_without_time_is_dated_by_its_creation_and_says_so(manifests: dict[str, Any], compose: Compose) -> None:
    properties = compose(manifests["soil-properties"])["properties"]
    assert properties["datetime"] == "2026-11-01T12:00:00Z"
    assert "start_datetime" not in properties
    assert "no time" in properties["description"]
    depth = properties["cube:dimensions"]["depth"]
    assert (depth["type"], depth["axis"], depth["values"]) == ("spatial", "z", [0.05, 0.225, 0.675, 2.0])


def test_box_across_the_antimeridian_is_cut(manifests: dict[str, Any], compose: Compose) -> None:
    item = compose(manifests["dry-days"])
    assert item["bbox"] == [177.0, -20.0, -178.0, -12.0]
    assert item["geometry"]["type"] == "MultiPolygon"
    assert len(item["geometry"]["coordinates"]) == 2


@pytest.mark.shared
def test_product_without_place_has_null_geometry(rain: dict[str, Any], compose: Compose, shared: Path) -> None:
    rain["extent"]["bbox"] = None
    item = compose(rain)
    assert item["geometry"] is None
    assert "bbox" not in item
    assert validate(item, shared / "stac-schemas") == []


def test_projected_grid_carries_its_code_and_metres(manifests: dict[str, Any], compose: Compose) -> None:
    properties = compose(manifests["haduk-rainfall"])["properties"]
    assert properties["proj:code"] == "EPSG:27700"
    x = properties["cube:dimensions"]["x"]
    assert (x["axis"], x["reference_system"], x["extent"], x["step"], x["unit"]) == (
        "x",
        27700,
        [6000.0, 30000.0],
        12000.0,
        "m",
    )
    kinds = {name: each["type"] for name, each in properties["cube:variables"].items()}
    assert kinds == {"pr": "data", "latitude": "auxiliary", "crs": "auxiliary"}


def test_projection_without_code_is_given_as_projjson(manifests: dict[str, Any], compose: Compose) -> None:
    value = manifests["equal-area"]
    properties = compose(value)["properties"]
    assert properties["proj:code"] is None
    expected = pyproj.CRS.from_wkt(value["crs"]["wkt"])
    assert pyproj.CRS.from_json_dict(properties["proj:projjson"]) == expected
    assert pyproj.CRS.from_json_dict(properties["cube:dimensions"]["y"]["reference_system"]) == expected


def test_dimensions_of_every_variable_are_described(manifests: dict[str, Any], compose: Compose) -> None:
    for value in manifests.values():
        properties = compose(value)["properties"]
        for each in properties["cube:variables"].values():
            assert set(each["dimensions"]) <= set(properties["cube:dimensions"])
        # The extension wants names that are not both.
        assert not properties["cube:variables"].keys() & properties["cube:dimensions"].keys()


def test_missing_values_are_named_in_words(manifests: dict[str, Any], compose: Compose) -> None:
    def nodata(product: str) -> Any:
        return [band.get("nodata") for band in compose(manifests[product])["assets"]["time"]["bands"]]

    assert nodata("rain-hadgem2-es") == ["nan"]
    assert nodata("tamsat-monthly") == ["-inf"]
    assert nodata("dry-days") == [-1]
    assert nodata("soil-properties") == ["nan", None]
    manifests["dry-days"]["variables"]["dry_days"]["attrs"]["_FillValue"] = np.int16(-1)
    assert nodata("dry-days") == [-1]


def test_variables_carry_cf_names_units_and_cell_methods(rain: dict[str, Any], compose: Compose) -> None:
    item = compose(rain)
    assert item["properties"]["cube:variables"]["pr"] == {
        "type": "data",
        "dimensions": ["time", "lat", "lon"],
        "description": "rain",
        "unit": "mm d-1",
        "data_type": "float32",
        "nodata": "nan",
        "cf:standard_name": "lwe_precipitation_rate",
        "cf:cell_methods": ["mean", None, None],
    }
    assert [band["name"] for band in item["assets"]["time"]["bands"]] == ["pr"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("time: mean", ["mean", None, None]),
        ("time : mean", ["mean", None, None]),
        ("time: mean (interval: 1 day)", ["mean", None, None]),
        ("lat: sum time: maximum", ["maximum", "sum", None]),
        ("lat: lon: standard_deviation", None),
        ("area: mean", None),
        ("time: mean within years time: sum over years", None),
        ("", None),
    ],
)
def test_cell_methods_over_several_axes_are_left_out(text: str, found: list[str | None] | None) -> None:
    assert cell_methods(text, ["time", "lat", "lon"]) == found


def test_zarr_asset_opens_by_its_own_fields(rain: dict[str, Any], compose: Compose) -> None:
    item = compose(rain)
    asset = item["assets"]["time"]
    assert asset["href"] == "./0123456789ab-1/time.zarr"
    assert asset["type"] == "application/vnd.zarr; version=3"
    assert asset["roles"] == ["data"]
    assert (asset["zarr:consolidated"], asset["zarr:node_type"], asset["zarr:zarr_format"]) == (True, "group", 3)
    assert asset["file:size"] == 123
    # xarray refuses storage options for a path, even empty ones.
    assert "xarray:storage_options" not in asset
    assert [link["href"] for link in links(item, "store")] == [asset["href"]]


def test_storage_options_are_given_where_an_address_needs_them(rain: dict[str, Any], compose: Compose) -> None:
    options = {"anon": True, "client_kwargs": {"endpoint_url": "https://o.example.org"}}
    assert compose(rain, storage_options=options)["assets"]["time"]["xarray:storage_options"] == options


def test_map_layout_is_an_asset_only_where_there_is_one(manifests: dict[str, Any], compose: Compose) -> None:
    assert "map" not in compose(manifests["rain-hadgem2-es"])["assets"]
    item = compose(manifests["tamsat-monthly"])
    assert item["assets"]["map"]["href"] == "./0123456789ab-1/map.zarr"
    assert len(links(item, "store")) == 2


def test_manifest_is_proven_by_size_and_multihash(rain: dict[str, Any], compose: Compose) -> None:
    raw = b'{"as": "stored"}\n'
    asset = compose(rain, manifest_bytes=raw)["assets"]["manifest"]
    assert asset["file:size"] == len(raw)
    # 0x12 names sha2-256 and 0x20 its 32 bytes.
    assert asset["file:checksum"] == "1220" + hashlib.sha256(raw).hexdigest()
    assert asset["roles"] == ["metadata"]


def test_references_are_virtual_and_point_to_the_originals(manifests: dict[str, Any], compose: Compose) -> None:
    item = compose(manifests["tamsat-monthly"])
    asset = item["assets"]["references"]
    assert asset["href"] == "./0123456789ab-1/references.json"
    assert (asset["type"], asset["roles"]) == ("application/vnd.zarr+kerchunk", ["virtual"])
    assert asset["file:checksum"] == "1220" + "c" * 64
    assert links(item, "via")[0]["href"] == "https://data.example.org/tamsat/"


def test_refused_references_say_why(rain: dict[str, Any], compose: Compose) -> None:
    item = compose(rain)
    assert "references" not in item["assets"]
    assert item["properties"]["cic:references_refused"] == ["scale_factor differs between files"]


def test_gaps_missing_and_notes_reach_the_item(rain: dict[str, Any], compose: Compose) -> None:
    properties = compose(rain)["properties"]
    assert properties["cic:gaps"] == [["2006-01-04", "2006-01-05"]]
    assert properties["cic:missing"] == {"pr": {"missing": 2, "cells": 8}}
    assert properties["cic:notes"] == ["rain days run 06-06 UTC"]


def test_self_link_only_where_a_public_address_is_known(rain: dict[str, Any], compose: Compose) -> None:
    assert links(compose(rain), "self") == []
    item = compose(rain, base_href="https://data.example.org/cube/")
    assert links(item, "self")[0]["href"] == "https://data.example.org/cube/inputs/rain-hadgem2-es/rain-hadgem2-es.json"
    internal = [link["href"] for link in item["links"] if link["rel"] in {"root", "parent", "collection", "store"}]
    assert all(href.startswith(".") for href in internal)


def test_licence_and_citations_of_ancestors_arrive(manifests: dict[str, Any], compose: Compose) -> None:
    item = compose(manifests["dry-days"])
    properties = item["properties"]
    assert properties["license"] == "other"
    assert {link["href"] for link in links(item, "license")} == {
        "https://spdx.org/licenses/CC-BY-4.0.html",
        "https://example.org/cmip5-terms",
    }
    assert properties["cic:ancestors"] == [
        {"product": "rain-hadgem2-es", "license": "other"},
        {"product": "tamsat-monthly", "license": "CC-BY-4.0"},
    ]
    assert properties["sci:publications"] == [
        {"citation": "Tarnavsky et al. (2014) J. Appl. Meteorol. Climatol."},
        {"doi": "10.1038/sdata.2017.63", "citation": "Maidment et al. (2017) Scientific Data 4, 170063"},
        {"doi": "10.5194/gmd-4-543-2011", "citation": "Collins et al. (2011)"},
    ]
    assert "sci:doi" not in properties
    assert [provider["name"] for provider in properties["providers"]] == ["University of Reading", "Met Office"]
    assert links(item, "derived_from")[0]["href"] == "../../inputs/rain-hadgem2-es/rain-hadgem2-es.json"
    assert "rain-hadgem2-es version 000000000000." in properties["processing:lineage"]


def test_own_citation_is_the_products_and_links_its_doi(rain: dict[str, Any], compose: Compose) -> None:
    item = compose(rain)
    assert item["properties"]["sci:doi"] == "10.1038/sdata.2017.63"
    assert item["properties"]["sci:citation"].startswith("Maidment")
    assert [entry["citation"][:9] for entry in item["properties"]["sci:publications"]] == ["Tarnavsky"]
    assert links(item, "cite-as")[0]["href"] == "https://doi.org/10.1038/sdata.2017.63"


@pytest.mark.parametrize(
    "given", [{"doi": "https://doi.org/10.5285/abcd"}, {"properties": {"sci:doi": "10.5285/abcd"}}]
)
def test_doi_given_for_the_product_comes_before_its_sources(
    given: dict[str, Any], rain: dict[str, Any], compose: Compose
) -> None:
    rain |= given
    item = compose(rain)
    assert item["properties"]["sci:doi"] == "10.5285/abcd"
    assert "sci:citation" not in item["properties"]
    assert "10.1038/sdata.2017.63" in {entry.get("doi") for entry in item["properties"]["sci:publications"]}
    assert links(item, "cite-as")[0]["href"] == "https://doi.org/10.5285/abcd"


def test_licence_that_is_no_spdx_identifier_becomes_other(rain: dict[str, Any], compose: Compose) -> None:
    rain["provenance"] |= {"licence": "free for research, see web page", "licence_url": "https://example.org/terms"}
    item = compose(rain)
    assert item["properties"]["license"] == "other"
    assert links(item, "license")[0]["href"] == "https://example.org/terms"


def test_declared_properties_cannot_replace_what_was_proven(manifests: dict[str, Any], compose: Compose) -> None:
    properties = compose(manifests["isimip-rcp60"])["properties"]
    assert properties["isimip2b:climate_scenario"] == "rcp60"
    assert (properties["source_id"], properties["experiment_id"], properties["variable_id"]) == (
        "HadGEM2-ES",
        "rcp60",
        "pr",
    )
    assert properties["version"] == "0123456789ab-1"
    assert properties["cic:fingerprint"] == "0123456789ab" + "0" * 52
    assert properties["isimip2b:baseline"] is None


def test_only_extensions_in_use_are_declared(manifests: dict[str, Any], compose: Compose) -> None:
    declared = {product: compose(value)["stac_extensions"] for product, value in manifests.items()}
    assert any("/projection/" in uri for uri in declared["haduk-rainfall"])
    assert not any("/projection/" in uri for uri in declared["rain-hadgem2-es"])
    assert any("/scientific/" in uri for uri in declared["dry-days"])
    assert not any("/scientific/" in uri for uri in declared["haduk-rainfall"])
    assert all(uris == sorted(set(uris)) for uris in declared.values())
