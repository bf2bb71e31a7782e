"""Grids by name: declared once, told at fault with their lines."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from batch.schema import json_schema
from batch.spec import Spec, load_spec
from compute.align.grid import GridOptions
from compute.align.options import AlignOptions
from cube.errors import Problem, SpecError
from cube.options import Strict
from ingest.options import IngestOptions

JOBS: dict[str, type[Strict]] = {"ingest": IngestOptions, "align": AlignOptions}
SOUND = """\
title: Grids
store: ./cube
grids:
  africa: {lat: [-35.875, 37.875], lon: [-18.875, 51.875], step: 0.25}
  uk:
    lat: [49.875, 60.875]
    lon: [-8.125, 1.875]
    step: 0.25
products:
  rain: {job: ingest, collection: inputs, source: tamsat, files: rfe*.nc}
  rain-africa:
    job: align
    collection: aligned
    input: rain
    variables: {pr: conservative}
    grid: africa
"""


def load(folder: Path, text: str) -> Spec:
    (folder / "cube.yaml").write_text(text)
    return load_spec(folder / "cube.yaml", JOBS)


def faults(folder: Path, text: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        load(folder, text)
    return list(caught.value.problems)


def test_name_is_not_the_grid(tmp_path: Path) -> None:
    spec = load(tmp_path, SOUND)  # nobody names `uk`
    grid = GridOptions(lat=(-35.875, 37.875), lon=(-18.875, 51.875), step=0.25)
    assert spec.products["rain-africa"].options.grid == grid
    assert spec.grids["africa"] == grid
    assert spec.line("rain-africa", "grid").endswith("cube.yaml:16 products.rain-africa.grid")
    own = SOUND.replace("grid: africa", "grid: {lat: [0, 2], lon: [10, 12], step: 1}")
    assert load(tmp_path, own).products["rain-africa"].options.grid.step == 1


def test_name_is_not_one_of_each(tmp_path: Path) -> None:
    text = SOUND.replace("rain-africa:", "rain-{where}:\n    each: {where: [africa, uk]}").replace(
        "grid: africa", 'grid: "{where}"'
    )
    spec = load(tmp_path, text)
    assert spec.products["rain-africa"].options.grid.lat == (-35.875, 37.875)
    assert spec.products["rain-uk"].options.grid.lat == (49.875, 60.875)


def test_unknown_grid_does_not_say_where(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, SOUND.replace("grid: africa", "grid: afrika"))
    assert found.where.endswith("cube.yaml:16 products.rain-africa.grid")
    assert (found.code, found.fix) == ("spec-unknown-grid", "did you mean 'africa'?")
    text = SOUND[: SOUND.index("grids:")] + SOUND[SOUND.index("products:") :]
    (found,) = faults(tmp_path, text)
    assert (found.code, "declare it" in found.fix) == ("spec-unknown-grid", True)


def test_fault_of_a_grid_is_told_twice_or_hides_others(tmp_path: Path) -> None:
    text = SOUND.replace("step: 0.25}", "step: 0.3}").replace("conservative", "cubic")
    first, second = faults(tmp_path, text)
    assert (first.code, "no whole number" in first.what) == ("spec-value", True)
    assert first.where.endswith("cube.yaml:4 grids.africa")
    assert second.where.endswith("products.rain-africa.variables.pr")
    (found,) = faults(tmp_path, SOUND.replace("lat: [49.875, 60.875]", "lat: [49.875]"))
    assert found.where.endswith("cube.yaml:6 grids.uk.lat")
    (found,) = faults(tmp_path, SOUND.replace("    grid: africa\n", ""))
    assert (found.code, "'grid'" in found.what) == ("spec-missing-key", True)
    (found,) = faults(tmp_path, SOUND.replace("grid: africa", "grid: 5"))
    assert found.where.endswith("cube.yaml:16 products.rain-africa.grid")


def test_editors_refuse_a_name_or_a_grid() -> None:
    validator = jsonschema.Draft202012Validator(json_schema(JOBS))
    product = {"job": "align", "collection": "c", "input": "rain", "variables": {"pr": "conservative"}}
    grid = {"lat": [0, 2], "lon": [10, 12], "step": 1}
    cube = {"title": "t", "store": "./cube", "grids": {"here": grid}}
    for given in ("here", grid):
        validator.validate({**cube, "products": {"a": {**product, "grid": given}}})
    for wrong in (5, {"lat": [0, 2]}, {**grid, "mask": "land"}):
        assert not validator.is_valid({**cube, "products": {"a": {**product, "grid": wrong}}})
