"""Soil properties as they are published: from texture in percent and in layers, from JULES ancillaries; refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.compute import chain
from tests.ingest.small_files import write

SOIL = """
  texture: {job: ingest, collection: inputs, source: cf, files: statics.nc}
  soil: {job: soil, collection: land, texture: texture, lai: texture, land_fraction: texture%s}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_percent_is_taken_for_fractions_or_sums_are_not_one(folder: Path) -> None:
    chain.write_statics(folder)
    assert not chain.built(folder, SOIL % ", silt: silt").failed
    found = chain.opened(folder)["soil"]
    given = chain.statics()
    # Cosby et al. 1984 with JULES's natural exponentials, written down a second time.
    clay, sand = given["clay"] / 98.0, given["sand"] / 98.0
    b = 3.10 + 15.70 * clay - 0.3 * sand
    sathh = 0.01 * np.exp(2.17 - 0.63 * clay - 1.58 * sand)
    sm_sat = 0.505 - 0.037 * clay - 0.142 * sand
    for name, expected in {
        "clay": clay,
        "b": b,
        "sathh": sathh,
        "sm_sat": sm_sat,
        "sm_crit": sm_sat * (sathh / 3.365) ** (1 / b),
        "satcon": np.exp(-5.55 - 0.64 * clay + 1.26 * sand),
    }.items():
        np.testing.assert_allclose(found[name], expected, rtol=3e-5, err_msg=name)
    assert np.isnan(found["b"].values[chain.SEA])
    assert found["land_fraction"].values[chain.SEA] == 0


def test_without_silt_the_rest_is_lost(folder: Path) -> None:
    chain.write_statics(folder)
    assert not chain.built(folder, SOIL % "").failed
    np.testing.assert_allclose(chain.opened(folder)["soil"]["sand"], chain.statics()["sand"] / 100, rtol=1e-6)


def test_layers_are_not_weighted_by_their_thickness(folder: Path) -> None:
    chain.write_statics(folder, deep=chain.statics()["clay"] / 2)
    assert not chain.built(folder, SOIL % ", clay: {clay: 0.3 m, deep: 70 cm}").failed
    found = chain.opened(folder)["soil"]["clay"]
    np.testing.assert_allclose(found, chain.statics()["clay"] / 100 * (0.3 + 0.35), rtol=1e-6)
    assert found.attrs["comment"] == "mean over depth of clay 0.3 m, deep 0.7 m"


@pytest.mark.parametrize(
    ("options", "changed", "code"),
    [
        ("", {"sand": chain.statics()["sand"] * 2}, "texture-range"),
        (", clay: argile", {}, "statics-missing"),
        (", clay: {clay: 30 K}", {}, "unit-unknown"),
    ],
)
def test_texture_of_no_soil_is_published(folder: Path, options: str, changed: dict[str, object], code: str) -> None:
    chain.write_statics(folder, **changed)
    error = chain.built(folder, SOIL % options).failed["soil"]
    assert [problem.code for problem in error.problems] == [code]
    assert "soil" not in chain.opened(folder)


def test_jules_ancillaries_are_made_of_texture_instead(folder: Path, shared: Path) -> None:
    dump = shared / "data/jules-mead-2008-run/mod_truth.dump.20080101.nc"
    place = {"latitudes": [41.1651], "longitudes": [-96.4766], "times": None}
    extra = {name: (("lat", "lon"), [[value]], {"units": "1"}) for name, value in {"sand": 0.27, "lai": 2.0}.items()}
    write(folder / "statics.nc", np.array([[0.23]]), name="clay", attrs={"units": "1"}, extra=extra, **place)
    products = f"""
  texture: {{job: ingest, collection: inputs, source: cf, files: statics.nc}}
  dump:
    job: ingest
    collection: inputs
    source: jules
    files: {dump}
    variables: [b, sathh, satcon, sm_sat, sm_crit, sm_wilt]
  soil: {{job: soil, collection: land, texture: texture, lai: texture, ancillaries: dump}}
"""
    assert not chain.built(folder, products).failed
    found = chain.opened(folder)["soil"]
    # numbers of SOURCES.md
    for name, expected in {"b": 6.63, "sathh": 0.04946, "satcon": 0.004715, "sm_crit": 0.242433}.items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)
    assert found["b"].attrs["pedotransfer"] == "JULES ancillaries"
    assert {"dump", "texture"} <= set(found["b"].attrs["statics"].replace(",", "").split())
