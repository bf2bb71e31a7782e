"""The cube of real files as a whole: its catalogue, its proofs, and what a second build does to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import pystac
import pystac_client
import pystac_client.warnings
import pytest
import zarr

from batch.jobs import OPTIONS
from batch.spec import load_spec
from stac.validation import validate

from .published import Published, opened
from .real_cube import SPEC, real_cube

pytestmark = [pytest.mark.shared, pytest.mark.xdist_group("real-samples")]

METRICS = {"dry-days-mpiesm", "dry-days-canesm2"}


@pytest.fixture(scope="session")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return real_cube(shared, tmp_path_factory)


@pytest.fixture(scope="session")
def products() -> set[str]:
    return set(load_spec(SPEC, OPTIONS).products)


def strict(path: Path) -> Any:
    """A JSON document; NaN and infinities, which browsers do not read, are refused."""

    def refuse(token: str) -> NoReturn:
        raise AssertionError(f"{token} in {path}")

    return json.loads(path.read_bytes(), parse_constant=refuse)


def test_committed_specification_loads_no_longer(products: set[str], shared: Path) -> None:
    spec = load_spec(SPEC, OPTIONS)
    assert products > METRICS
    assert len(products) == 28
    for name in products - METRICS:
        patterns = getattr(spec.products[name].options, "files")  # noqa: B009 - options of any job
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            folder, _, names = pattern.rpartition("/")
            found = list((SPEC.parent / folder).resolve().glob(names))
            assert found, f"{name}: {pattern}"
            assert all(path.is_relative_to((shared / "data").resolve()) for path in found)


def test_walk_from_the_root_misses_a_product(real: Published, products: set[str]) -> None:
    items = real.items()
    assert set(items) == products
    for item in items.values():
        collection, root = item.get_collection(), item.get_root()
        assert collection is not None
        assert root is not None
        assert (collection.id, root.title) == (item.collection_id, "Real sample files")
    collections = {child.id for child in pystac.Catalog.from_file(str(real.store / "catalog.json")).get_children()}
    assert collections == {"soil", "climate", "metrics"}


def test_every_object_of_the_catalogue_is_not_valid(real: Published, products: set[str], shared: Path) -> None:
    paths = [real.store / "catalog.json", *real.store.glob("*/collection.json")]
    paths += [path for path in real.store.glob("*/*/*.json") if path.stem == path.parent.name]
    assert len(paths) == 1 + 3 + len(products)
    problems = [problem for path in paths for problem in validate(strict(path), shared / "stac-schemas")]
    assert [str(problem) for problem in problems if problem.code != "stac-not-checked"] == []
    # The one schema that is not at hand is that of the only projected product and its collection.
    unchecked = {(problem.where, "/projection/v2.0.0/" in problem.what) for problem in problems}
    assert unchecked == {("climate", True), ("uk-tmean-1910", True)}


def test_metadata_hold_numbers_that_are_no_json(real: Published) -> None:
    documents = [*real.store.rglob("manifest.json"), *real.store.rglob("zarr.json")]
    assert len(documents) > 100
    for path in documents:
        strict(path)


def test_client_of_catalogues_cannot_open_the_cube(real: Published, products: set[str]) -> None:
    with pytest.warns(pystac_client.warnings.NoConformsTo):
        client = pystac_client.Client.open(str(real.store / "catalog.json"))
    with pytest.warns(pystac_client.warnings.FallbackToPystac):
        items = {item.id: item for item in client.get_items(recursive=True)}
    assert set(items) == products
    assert opened(items["chirps-nevada"])["precip"].shape == (62, 8, 18)


def test_chunk_that_is_not_there_reads_as_missing(real: Published, products: set[str]) -> None:
    with zarr.config.set({"array.read_missing_chunks": False}):
        for name in sorted(products):
            found = real.open(name).load()
            declared = real.item(name).properties
            for variable, counts in declared["cic:missing"].items():
                values = found[variable]
                assert counts == {"cells": values.size, "missing": int(values.isnull().sum())}, f"{name} {variable}"


def test_item_advertises_another_extent_than_the_data(real: Published, products: set[str]) -> None:
    for name, item in real.items().items():
        found = real.open(name)
        if "time" not in found.dims:
            assert item.datetime is not None, name
            continue
        time = item.properties["cic:time"]
        assert time["count"] == found.sizes["time"], name
        edges = [str(value)[:10] for value in (found["time"].values[0], found["time_bnds"].values[-1, 1])]
        assert edges == [time["start"][:10], time["end_bound"][:10]], name
        assert item.properties["cic:calendar"] == found["time"].encoding["calendar"], name
        assert found.attrs["time_coverage_start"] == time["start"], name


def test_inputs_are_not_those_of_the_index(real: Published, products: set[str], shared: Path) -> None:
    sets = json.loads((shared / "data" / "index.json").read_text())["datasets"].values()
    known = {
        (Path(file["path"]).name, file["bytes"], file["sha256"]): each["redistributable"]
        for each in sets
        for file in each["files"]
    }
    used = set()
    for name in products - METRICS:
        files = real.manifest(name)["inputs"]["files"]
        inputs = {(Path(each["name"]).name, each["bytes"], each["sha256"]) for each in files}
        assert inputs
        assert inputs <= known.keys(), name
        if not all(known[each] for each in inputs):
            assert real.item(name).properties["cic:redistribution"] == "no", name
        used |= inputs
    assert len(used) == 140


def test_licence_of_an_input_does_not_reach_what_is_made_of_it(real: Published, products: set[str]) -> None:
    items = real.items()
    assert items["dry-days-mpiesm"].properties["license"] == "CC-BY-SA-4.0"
    assert [item.id for item in items["dry-days-mpiesm"].get_derived_from()] == ["mpiesm-pr"]
    assert items["tamsat-native"].properties["cic:redistribution"] == "no"
    assert real.open("tamsat-native").attrs["license"] == "other"
    for name, provider in (
        ("ecearth-historical-tas", "EC-EARTH consortium"),
        ("cordex-africa-tas", "Climate Service Center Germany (GERICS)"),
    ):
        assert real.open(name).attrs["creator_name"] == provider
    for name in products:
        assert items[name].properties["license"], name


def test_status_leaves_a_product_or_its_limit_out(real: Published, products: set[str]) -> None:
    rows = {row["product"]: row for row in json.loads(real.run("status", "--json").stdout)}
    assert set(rows) == products
    assert rows["dry-days-mpiesm"]["limiting_input"] == "mpiesm-pr"
    for name, row in rows.items():
        item = real.item(name)
        assert row["version"] == item.properties["version"]
        href = item.assets["time"].get_absolute_href()
        assert Path(row["href"].removeprefix("file://")) == Path(href or "")


def test_unchanged_second_build_writes(real: Published, products: set[str]) -> None:
    before = real.stored()
    result = real.run("build", "--json")
    assert result.exit_code == 0, result.output
    outcome = json.loads(result.stdout)
    assert (outcome["built"], outcome["failed"], outcome["waiting"]) == ([], {}, {})
    assert set(outcome["current"]) == products
    assert real.stored() == before
    plan = json.loads(real.run("plan", "--json").stdout)
    assert [name for name, each in plan["products"].items() if each["stale"]] == []
    assert real.stored() == before


def test_deep_verification_reads_less_than_everything(real: Published, products: set[str]) -> None:
    result = real.run("verify", "--deep", "--json")
    assert result.exit_code == 0, result.output
    found = {each["product"]: each for each in json.loads(result.stdout)}
    assert set(found) == products
    for name, each in found.items():
        assert each["problems"] == []
        assert each["read"] == each["objects"] >= len(real.manifest(name)["objects"]), name


def test_map_and_series_of_one_version_are_of_different_versions(real: Published) -> None:
    item = real.item("c3s-soil-moisture-active")
    hrefs = [item.assets[name].href.split("/")[1] for name in ("time", "map", "manifest")]
    assert set(hrefs) == {item.properties["version"]}
    assert real.open("c3s-soil-moisture-active").attrs == real.open("c3s-soil-moisture-active", "map").attrs
