"""What exported files and the record of an export say of the licence, against texts written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import pytest

from compute.export.exporting import export
from compute.export.licence import licence_of
from cube.catalogue import Cube
from cube.provenance import Provenance
from tests.compute.notebook.products import ToyJob, built

from .conftest import gaps


def test_licence_without_a_name_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provenance = Provenance("other", "no", "https://example.org/terms")
    monkeypatch.setattr(ToyJob, "provenance", lambda self: provenance)
    assert not built(tmp_path, {"gaps": gaps()}).failed
    found = export(Cube(tmp_path / "cube"), "gaps", tmp_path / "a.nc")
    with netCDF4.Dataset(tmp_path / "a.nc") as file:
        assert file.license == "other (https://example.org/terms); redistribution: no"
    assert found.binding == "other (https://example.org/terms); redistribution: no"
    assert found.to_json()["licence"] == "other (https://example.org/terms)"
    assert found.to_json()["redistribution"] == "no"


@pytest.mark.parametrize(
    ("provenance", "told"),
    [
        ({"licence": "CC0-1.0", "licence_url": None}, "CC0-1.0"),
        (
            {
                "licence": "other",
                "licence_url": None,
                "ancestors": [
                    {"product": "metric", "licence": "other", "licence_url": None},
                    {"product": "rain", "licence": "CC-BY-4.0", "licence_url": None},
                    {"product": "soil", "licence": "other", "licence_url": "https://example.org/terms"},
                ],
            },
            "other, of rain: CC-BY-4.0, of soil: other (https://example.org/terms)",
        ),
        ({"licence": "other", "ancestors": []}, "other"),
    ],
)
def test_licences_of_what_it_was_made_from_are_lost(provenance: dict[str, Any], told: str) -> None:
    assert licence_of(provenance) == told
