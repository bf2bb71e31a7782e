from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pystac
import pytest

from cube.hashing import readable
from stac.catalogue import compose_catalog
from stac.collections import compose_collection
from stac.validation import validate

Compose = Callable[..., dict[str, Any]]


@pytest.fixture
def items(manifests: dict[str, Any], compose: Compose) -> list[dict[str, Any]]:
    return [compose(value) for value in manifests.values()]


def collect(items: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    return compose_collection("inputs", items, **{"title": "Inputs", "description": "All inputs.", **options})


def chosen(items: list[dict[str, Any]], *products: str) -> list[dict[str, Any]]:
    return [item for item in items if item["id"] in products]


@pytest.mark.shared
def test_collection_and_catalogue_are_valid(items: list[dict[str, Any]], shared: Path) -> None:
    collection = collect(items, base_href="https://data.example.org")
    catalogue = compose_catalog([collection], title="A cube", description="", id="cube")
    problems = [*validate(collection, shared / "stac-schemas"), *validate(catalogue, shared / "stac-schemas")]
    assert [str(problem) for problem in problems if "/projection/" not in problem.what] == []
    pystac.Collection.from_dict(copy.deepcopy(collection))
    pystac.Catalog.from_dict(copy.deepcopy(catalogue))


@pytest.mark.shared
def test_collection_without_items_is_valid(shared: Path) -> None:
    collection = collect([])
    assert validate(collection, shared / "stac-schemas") == []
    assert collection["extent"]["temporal"]["interval"] == [[None, None]]
    assert collection["license"] == "other"


def test_order_of_items_does_not_matter(items: list[dict[str, Any]]) -> None:
    assert readable(collect(items)) == readable(collect(items[::-1]))


def test_extent_is_the_union_and_timeless_products_do_not_stretch_it(items: list[dict[str, Any]]) -> None:
    collection = collect(chosen(items, "tamsat-monthly", "haduk-rainfall", "soil-properties"))
    assert collection["extent"]["temporal"]["interval"] == [["2000-01-01T00:00:00Z", "2018-02-28T23:59:59Z"]]
    assert collection["extent"]["spatial"]["bbox"] == [[-180.0, -90.0, 180.0, 90.0]]
    africa_and_uk = collect(chosen(items, "tamsat-monthly", "haduk-rainfall"))
    assert africa_and_uk["extent"]["spatial"]["bbox"] == [[-19.0, -36.0, 52.0, 60.9]]


def test_extent_across_the_antimeridian_is_kept_narrow(items: list[dict[str, Any]]) -> None:
    assert collect(chosen(items, "dry-days"))["extent"]["spatial"]["bbox"] == [[177.0, -20.0, -178.0, -12.0]]


def test_mixed_licences_become_other_with_all_links(items: list[dict[str, Any]]) -> None:
    one = collect(chosen(items, "tamsat-monthly", "rain-hadgem2-es"))
    assert one["license"] == "CC-BY-4.0"
    mixed = collect(chosen(items, "tamsat-monthly", "haduk-rainfall"))
    assert mixed["license"] == "other"
    licences = [link["href"] for link in mixed["links"] if link["rel"] == "license"]
    assert licences == ["https://example.org/ogl", "https://spdx.org/licenses/CC-BY-4.0.html"]


def test_providers_and_citations_are_united(items: list[dict[str, Any]]) -> None:
    collection = collect(chosen(items, "dry-days", "rain-hadgem2-es"))
    assert [(each["name"], each["roles"]) for each in collection["providers"]] == [
        ("University of Reading", ["licensor", "producer"]),
        ("Met Office", ["producer"]),
    ]
    dois = [each.get("doi") for each in collection["sci:publications"]]
    assert sorted(filter(None, dois)) == ["10.1038/sdata.2017.63", "10.5194/gmd-4-543-2011"]


def test_summaries_allow_search_by_identifiers_and_standard_names(items: list[dict[str, Any]]) -> None:
    summaries = collect(items)["summaries"]
    assert summaries["source_id"] == ["HadGEM2-ES"]
    assert summaries["experiment_id"] == ["rcp60"]
    assert summaries["variable_id"] == ["pr"]
    assert summaries["isimip2b:climate_scenario"] == ["rcp60"]
    assert summaries["cf:standard_name"] == ["lwe_precipitation_rate"]
    assert summaries["cic:calendar"] == ["360_day", "proleptic_gregorian", "standard"]
    assert summaries["proj:code"] == ["EPSG:27700"]
    assert "cic:fingerprint" not in summaries
    assert "sci:doi" not in summaries


def test_item_assets_hold_what_items_share(items: list[dict[str, Any]]) -> None:
    shared_assets = collect(items)["item_assets"]
    assert set(shared_assets) == {"time", "map", "references", "manifest"}
    assert shared_assets["time"]["type"] == "application/vnd.zarr; version=3"
    assert all("href" not in each for each in shared_assets.values())


def test_links_carry_titles_and_self_only_where_known(items: list[dict[str, Any]]) -> None:
    collection = collect(items, root_title="A cube")
    by_rel: dict[str, list[dict[str, Any]]] = {}
    for link in collection["links"]:
        by_rel.setdefault(link["rel"], []).append(link)
    assert "self" not in by_rel
    assert by_rel["root"][0] == {
        "rel": "root",
        "href": "../catalog.json",
        "type": "application/json",
        "title": "A cube",
    }
    assert [link["href"] for link in by_rel["item"]] == [
        f"./{i}/{i}.json" for i in sorted(item["id"] for item in items)
    ]
    assert all(link["title"] for link in by_rel["item"])


def test_catalogue_lists_children_sorted_with_titles(items: list[dict[str, Any]]) -> None:
    first, second = collect([]), {**collect(items), "id": "metrics", "title": "Metrics"}
    given = {"title": "A cube", "description": "Ours.", "id": "cube", "base_href": "https://data.example.org/c"}
    catalogue = compose_catalog([second, first], **given)
    children = [(link["href"], link["title"]) for link in catalogue["links"] if link["rel"] == "child"]
    assert children == [("./inputs/collection.json", "Inputs"), ("./metrics/collection.json", "Metrics")]
    assert [link["href"] for link in catalogue["links"] if link["rel"] == "self"] == [
        "https://data.example.org/c/catalog.json"
    ]
    assert readable(catalogue) == readable(compose_catalog([first, second], **given))
