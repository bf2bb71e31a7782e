"""`cube export` on the command line: what it says and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from batch.command import main
from tests.compute.metrics.toy import archive, built

ROWS = """
  dry: {job: metric, collection: metrics, metric: dry_days, threshold: 1 mm d-1, input: rain, land_fraction: land}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found: Path = tmp_path_factory.mktemp("exporting")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBE_CACHE", str(tmp_path_factory.mktemp("cache")))
        archive(found)
        assert not built(found, ROWS, "rain", "land", "dry").failed
    return found


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["export", *words, "--spec", str(folder / "cube.yaml")])


def test_table_of_a_place_is_not_told(folder: Path, tmp_path: Path) -> None:
    words = ["dry", "--place", "11.1,31.4", "--to"]
    told = run(folder, *words, str(tmp_path / "a.csv"), "--variable", "dry_days", "--json")
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["variables"] == ["dry_days"]
    assert found["places"][0]["cell_lat"] == 11.0
    assert len((tmp_path / "a.csv").read_text().splitlines()) == found["count"] + 1
    plain = run(folder, *words, str(tmp_path / "b.nc"))
    assert plain.exit_code == 0
    assert "km away" in plain.output


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["no", "--to", "a.nc"], 2, "product-unknown"),
        (["dry", "--to", "a.txt"], 2, "export-target"),
        (["dry", "--to", "there.nc"], 2, "export-target"),
        (["beta", "--to", "a.nc"], 5, "product-unknown"),
        (["dry", "--to", "a.nc", "--variable", "none"], 3, "variable-unknown"),
        (["dry", "--to", "a.nc", "--place", "60,0"], 3, "place-too-far"),
        (["dry", "--to", "a.nc", "--from", "2050"], 3, "export-empty"),
        (["dry", "--to", "a.nc", "--places", "no.csv"], 3, "export-places"),
        (["dry", "--to", "a.nc", "--region", "no.geojson"], 3, "regions-file"),
    ],
)
def test_wrong_command_ends_with_another_code(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.nc").write_text("mine")
    told = run(folder, *words, "--json")
    assert told.exit_code == code, told.output
    assert problem in [each["code"] for each in json.loads(told.stdout)["problems"]]
    assert [each.name for each in tmp_path.iterdir()] == ["there.nc"]


@pytest.mark.parametrize(
    "words", [["no", "--to", "a.nc"], ["dry", "--to", "a.txt"], ["dry", "--to", "there.nc"], ["dry", "--to", "no/a.nc"]]
)
def test_specification_is_blamed_for_the_command(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.nc").write_text("mine")
    told = run(folder, *words)
    assert told.exit_code == 2
    assert told.output.splitlines()[0] == "what was asked for cannot be done"


def test_licence_and_missing_years_are_not_told(folder: Path, tmp_path: Path) -> None:
    # The toy archive begins after 1991.
    words = ["dry", "--from", "1991", "--until", "2006", "--to"]
    told = run(folder, *words, str(tmp_path / "a.csv"))
    assert told.exit_code == 0, told.output
    assert "asked 1991 to 2006; the product holds " in told.output
    assert "redistribution: " in told.output
    found = json.loads(run(folder, *words, str(tmp_path / "b.csv"), "--json").stdout)
    assert found["shortened"] in told.output
    assert f"licence: {found['licence']}; redistribution: {found['redistribution']}" in told.output
    assert found["shortened"].startswith("asked 1991 to 2006; the product holds ")


def test_place_of_the_file_replaces_one_of_the_same_name(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text('name,lat,lon\n"11.1,31.4",12.0,31.0\n')
    words = ["dry", "--place", "11.1,31.4", "--places", str(tmp_path / "p.csv"), "--to", str(tmp_path / "a.csv")]
    told = run(folder, *words)
    assert told.exit_code == 3
    assert "two places of this name" in told.output


def test_words_that_are_no_place_are_taken(folder: Path, tmp_path: Path) -> None:
    told = run(folder, "dry", "--to", str(tmp_path / "a.nc"), "--place", "Abuja")
    assert told.exit_code == 2


def test_cube_by_its_address_needs_a_specification(folder: Path, tmp_path: Path) -> None:
    words = ["export", "dry", "--to", str(tmp_path / "a.csv"), "--cube", str(folder / "cube"), "--from", "2005"]
    told = CliRunner().invoke(main, [*words, "--until", "2006", "--variable", "dry_days"])
    assert told.exit_code == 0, told.output
    assert {line[:4] for line in (tmp_path / "a.csv").read_text().splitlines()[1:]} == {"2005", "2006"}
