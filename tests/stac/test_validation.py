from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pystac
import pytest

from stac.validation import validate

Compose = Callable[..., dict[str, Any]]


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise AssertionError("a schema was fetched")

    monkeypatch.setattr(pystac.stac_io.DefaultStacIO, "read_text", refuse)


@pytest.mark.usefixtures("no_reading")
def test_schemas_not_at_hand_are_reported_and_not_fetched(rain: dict[str, Any], compose: Compose) -> None:
    item = compose(rain)
    problems = validate(item, None)
    assert {problem.code for problem in problems} == {"stac-not-checked"}
    assert len(problems) == len(item["stac_extensions"])


@pytest.mark.usefixtures("no_reading")
def test_schema_that_refers_to_an_unknown_one_is_not_fetched(
    rain: dict[str, Any], compose: Compose, tmp_path: Path
) -> None:
    uri = "https://example.org/ext/schema.json"
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": f"{uri}#",
        "$ref": "https://example.org/other.json",
    }
    (tmp_path / "ext.json").write_text(json.dumps(schema))
    item = {**compose(rain), "stac_extensions": [uri]}
    (problem,) = validate(item, tmp_path)
    assert problem.code == "stac-not-checked"
    assert "https://example.org/other.json" in problem.what


@pytest.mark.shared
def test_all_faults_are_reported_together(rain: dict[str, Any], compose: Compose, shared: Path) -> None:
    item = compose(rain)
    item["properties"]["license"] = "free for all"
    item["properties"]["sci:doi"] = "doi:10.1/x"
    item["assets"]["time"]["zarr:zarr_format"] = 4
    item["assets"]["manifest"]["file:size"] = -1
    del item["properties"]["cube:dimensions"]["lat"]["extent"]
    problems = validate(item, shared / "stac-schemas")
    assert {problem.code for problem in problems} == {"stac-invalid"}
    where = {problem.where.partition("/")[2] for problem in problems}
    assert {
        "properties/license",
        "properties/sci:doi",
        "assets/time/zarr:zarr_format",
        "assets/manifest/file:size",
        "properties/cube:dimensions/lat",
    } <= where
    # An Item is not told that it is no Collection.
    assert not any("'Collection' was expected" in problem.what for problem in problems)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_what_json_does_not_allow_is_named(value: object, rain: dict[str, Any], compose: Compose) -> None:
    item = compose(rain)
    item["properties"]["mean"] = value
    assert [problem.code for problem in validate(item, None)] == ["stac-not-json"]


def test_object_of_another_type_is_invalid() -> None:
    assert [problem.code for problem in validate({"type": "FeatureCollection", "features": []}, None)] == [
        "stac-invalid"
    ]


def test_item_without_datetime_is_invalid(rain: dict[str, Any], compose: Compose) -> None:
    item = compose(rain)
    del item["properties"]["start_datetime"]
    assert "stac-invalid" in {problem.code for problem in validate(item, None)}


def test_summary_given_as_json_schema_is_checked_offline() -> None:
    collection = {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": "a",
        "description": "b",
        "license": "other",
        "extent": {"spatial": {"bbox": [[0, 0, 1, 1]]}, "temporal": {"interval": [[None, None]]}},
        "links": [],
        "summaries": {"good": {"type": "string"}},
    }
    assert validate(collection, None) == []
    collection["summaries"] = {"bad": {"type": "no such type"}}
    assert {problem.code for problem in validate(collection, None)} == {"stac-invalid"}
