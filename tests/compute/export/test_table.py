"""Exported tables, against the cube opened by plain xarray."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from compute.export.exporting import export
from cube.catalogue import Cube
from cube.errors import InputError

from .conftest import TOYS
from .test_netcdf import plain


def test_rows_of_days_differ_from_the_cube(cube: Cube, folder: Path, tmp_path: Path) -> None:
    found = export(cube, "daily", tmp_path / "a.csv", start="2002", variables=["pr"])
    rows = pd.read_csv(tmp_path / "a.csv")
    assert list(rows.columns) == ["time", "lat [degrees_north]", "lon [degrees_east]", "pr [mm d-1]"]
    assert found.count == len(rows) == 360 * 24
    expected = plain(folder, "daily")["pr"].isel(time=slice(360, None))
    assert rows["time"].iloc[0] == "2002-01-01"
    assert "2002-02-30" in set(rows["time"])
    for _, row in rows.sample(200, random_state=1).iterrows():
        year, month, day = map(int, row["time"].split("-"))
        number = (month - 1) * 30 + day - 1
        assert year == 2002
        value = expected.isel(time=number).sel(lat=row["lat [degrees_north]"], lon=row["lon [degrees_east]"]).item()
        np.testing.assert_allclose(row["pr [mm d-1]"], value, rtol=1e-6)
    assert rows["pr [mm d-1]"].isna().sum() == 360


def test_words_and_dates_differ_from_the_seasons(cube: Cube, folder: Path, tmp_path: Path) -> None:
    found = export(cube, "seasons", tmp_path / "a.csv")
    assert set(found.left_out) == {"rain_mean", "season_start", "season_end"}
    rows = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    expected = xr.decode_cf(plain(folder, "seasons"))
    assert len(rows) == 3 * 2 * 24
    for _, row in rows.iterrows():
        at = {"lat": row["lat [degrees_north]"], "lon": row["lon [degrees_east]"], "season": row["season"]}
        cell = expected.sel(at).sel(time=row["time"])
        missing = bool(np.isnan(cell["onset"].values.astype(float)))
        assert row["season_flag"] == ("no_data" if missing else "valid")
        assert row["onset [d]"] == ("" if missing else str(int(cell["onset"])))
        assert row["onset_date"] == ("" if missing else str(cell["onset_date"].values)[:10])


def test_place_file_loses_names_or_distances(cube: Cube, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text('name,lat,lon\n"Upper, north",6.8,1.1\nLower,2.9,-2.7\n', encoding="utf-8-sig")
    export(cube, "seasons", tmp_path / "a.csv", places=tmp_path / "p.csv", variables=["onset"])
    rows = pd.read_csv(tmp_path / "a.csv")
    assert list(rows.columns)[:4] == ["time", "place", "place_lat [degrees_north]", "place_lon [degrees_east]"]
    assert set(rows["place"]) == {"Upper, north", "Lower"}
    expected = plain(folder, "seasons")["onset"].sel(lat=3.0, lon=-3.0)
    lower = rows[rows["place"] == "Lower"].pivot(index="time", columns="season", values="onset [d]")
    np.testing.assert_array_equal(lower.values, expected.values)
    assert (rows["distance [km]"] > 10).all()


def test_cells_outside_of_a_region_are_rows(cube: Cube, folder: Path, tmp_path: Path) -> None:
    export(cube, "seasons", tmp_path / "a.csv", region=folder / "r.geojson", variables=["onset"])
    rows = pd.read_csv(tmp_path / "a.csv")
    cells = set(zip(rows["lat [degrees_north]"], rows["lon [degrees_east]"], strict=True))
    assert (5.0, -7.0) not in cells
    assert (7.0, -7.0) in cells
    assert len(rows) == len(cells) * 6


def test_columns_of_projected_maps_points_and_summaries_are_missing(cube: Cube, tmp_path: Path) -> None:
    heads = {}
    for name in ("national", "sites", "summary"):
        export(cube, name, tmp_path / f"{name}.csv")
        heads[name] = list(pd.read_csv(tmp_path / f"{name}.csv").columns)
    assert heads["national"] == [
        "time", "y [m]", "x [m]", "lat [degrees_north]", "lon [degrees_east]", "dry_days [d]",
    ]  # fmt: skip
    assert heads["sites"] == ["time", "site", "lat [degrees_north]", "lon [degrees_east]", "ssmi [1]"]
    assert heads["summary"][:4] == ["time", "season", "region", "length [d]"]
    rows = pd.read_csv(tmp_path / "summary.csv")
    assert "Northern band" in set(rows["region"])
    np.testing.assert_array_equal(
        pd.read_csv(tmp_path / "national.csv")["dry_days [d]"].dropna().sort_values(),
        np.sort(TOYS["national"].values["dry_days"][:, np.arange(20).reshape(4, 5) > 0].ravel()),
    )


def test_summary_and_its_export_name_columns_differently(cube: Cube, tmp_path: Path) -> None:
    export(cube, "summary", tmp_path / "a.csv")
    view, _ = cube.view("summary")
    assert view.ref is not None
    own = pd.read_csv(io.BytesIO(view.ref.file("summary.csv", view.proofs)))
    exported = pd.read_csv(tmp_path / "a.csv")
    assert set(own.columns) == set(exported.columns)
    keys = ["time", "season", "region"]
    pd.testing.assert_frame_equal(
        own.sort_values(keys, ignore_index=True),
        exported.sort_values(keys, ignore_index=True),
        check_like=True,
        check_dtype=False,
    )


def test_small_pieces_give_other_rows(cube: Cube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(cube, "seasons", tmp_path / "a.csv")
    monkeypatch.setattr("compute.export.rows.BUDGET", 1)
    monkeypatch.setattr("compute.export.rows.ROWS", 7)
    export(cube, "seasons", tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


def test_variables_of_different_dimensions_make_one_table(cube: Cube, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        export(cube, "seasons", tmp_path / "a.csv", variables=["onset", "rain_mean"])
    assert [each.code for each in refused.value.problems] == ["export-choice"]


@pytest.mark.parametrize(
    ("text", "count"),
    [("name,lat\na,1\n", 1), ("name,lat,lon\n", 1), ("name,lat,lon\na,x,1\nb,1,1\nb,2,2\nc,99,0\n", 3)],
)
def test_wrong_lines_of_places_are_told_one_by_one(cube: Cube, tmp_path: Path, text: str, count: int) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(InputError) as refused:
        export(cube, "daily", tmp_path / "a.csv", places=tmp_path / "p.csv")
    assert [each.code for each in refused.value.problems] == ["export-places"] * count
