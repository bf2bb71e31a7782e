"""What an explanation says, against the arrays and manifests that it must have come from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from compute.notebook.explain import Explanation, explain
from cube.axes import Step, TimeAxis
from cube.catalogue import Cube
from cube.errors import InputError

from .conftest import LATS, LONS, SHAPE, dry, seasons
from .products import CITED, Toy, built, grid

FIRST, COUNT = 11323, 3 * 365 + 20
"""2001-01-01 to 2004-01-20, days since 1970."""
ROWS = {
    "emulated": "job: emulate, key: emulated, input: rain",
    "skill": "job: evaluate, key: skill, simulation: emulated, reference: jules",
    "season": "job: toy, key: season, input: rain",
    "dry": "job: toy, key: dry, input: rain, variable: pr, threshold: 1 mm d-1",
    "parts": "job: toy, key: parts, input: rain, variable: pr",
    "dry-soil": "job: toy, key: dry-soil, input: emulated, variable: fsmc, threshold: 50 %",
    "ruled": "job: metric, metric: threshold_season, input: rain, rule: {onset_from: 10-01, onset_until: 12-31, "
    "cessation_from: 03-01, cessation_until: 05-31, cessation_dry: 20 d}",
    "soil": "job: metric, metric: soil_season, input: emulated, variable: fsmc, reference: self",
    "index": "job: metric, metric: wrsi, input: emulated, variable: fsmc, reference: self, seasons: season",
}
AT = (2, 3)
"""Row and column of the cell that is explained: 6 N, 0 E."""


def toys() -> dict[str, Toy]:
    rng = np.random.default_rng(4)
    days = TimeAxis(FIRST, COUNT, Step("day"), "standard")
    pr = rng.gamma(0.5, 6.0, (COUNT, *SHAPE)).astype("f4")
    pr[:, 0] = np.nan
    pr[365 + 40 : 365 + 47, *AT] = np.nan
    pr[365 + 150, *AT] = np.nan
    beta = rng.random((COUNT, *SHAPE)).astype("f4")
    outside = np.zeros((COUNT, *SHAPE), np.int8)
    outside[365 + 100 : 365 + 137, *AT] = 5
    scores = {
        name: (("predictor", "target", "lat", "lon"), np.full((2, 2, *SHAPE), value, "f4"), {"units": "1"})
        for name, value in (("r", 0.9), ("rmse", 0.03), ("bias", -0.01))
    }
    scores["r"][1][0, 1, *AT] = 0.625
    scores["r"][1][1] = 0.1
    named = {
        dim: xr.Variable((dim,), np.arange(2, dtype=np.int32), {"flag_values": [0, 1], "flag_meanings": meanings})
        for dim, meanings in (("predictor", "simulation climatology"), ("target", "theta_1 beta"))
    }
    masks = {"flag_masks": [1, 2, 4], "flag_meanings": "weather statics rain_memories", "_FillValue": -1}
    dims = ("time", "lat", "lon")
    return {
        "rain": Toy({"pr": (dims, pr, {"units": "mm d-1"})}, grid(LATS, LONS), days, notes=("Rain was measured.",)),
        "emulated": Toy(
            {"fsmc": (dims, beta, {"units": "1"}), "out_of_domain": (dims, outside, masks)}, grid(LATS, LONS), days
        ),
        "skill": Toy(scores, {**grid(LATS, LONS), **named}),
        "season": seasons(),
        "dry": dry(),
        "parts": dry(("MAM", "OND")),
        "dry-soil": dry(),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("explained")
    assert not built(made, toys(), ROWS).failed
    return made


@pytest.fixture
def known(folder: Path) -> Cube:
    return Cube(folder / "cube")


def day(number: int) -> np.datetime64:
    """A day of 2002, 0 for 1 January."""
    return np.datetime64("2002-01-01") + np.timedelta64(number, "D")


def section(found: Explanation, head: str) -> list[str]:
    return list(dict(found.sections).get(head, ()))


def test_number_is_of_another_year_or_cell(known: Cube) -> None:
    found = explain(known, "dry", (5.8, 0.3), 2003)
    # As `dry` has them: 200, and one for each year, row and column.
    assert section(found, "Values") == ["dry_days: 207 d", "valid_days: 365 d"]
    assert (found.place.lat, found.place.lon) == (6.0, 0.0)
    assert "cell at 6, 0, 39.9 km from 5.8, 0.3" in str(found)
    assert "period 2003-01-01 to 2003-12-31, calendar standard" in str(found)
    version = known.item("dry")["properties"]["version"]
    assert f"version {version}, job toy" in str(found)


def test_missing_days_are_not_counted(known: Cube) -> None:
    days = section(explain(known, "dry", (6.0, 0.0), 2002), "Days")
    assert days[0].startswith(f"rain, version {known.item('rain')['properties']['version'][:12]}, pr: 2002-01-01")
    assert days[1] == "  8 of them missing in this cell"
    assert section(explain(known, "dry", (6.0, 2.0), 2002), "Days")[1] == "  0 of them missing in this cell"


def test_days_of_a_season_are_those_of_the_year(known: Cube) -> None:
    """One season a year: it is searched from 50 days before the reference's to 49 days after its last day."""
    found = section(explain(known, "season", (6.0, 0.0), 2002), "Days")
    start, end = 100 + 10 * AT[1], 100 + 10 * AT[1] + 149
    first, last = day(start - 50), day(end + 49)
    assert f"{first} to {last}, {end - start + 100} days" in found[0]
    # 29 February is not counted: day 80 is 22 March in every year.
    assert "2004-03-22 to" in section(explain(known, "season", (6.0, 0.0), 2004), "Days")[0]
    missing = sum(start - 50 <= gap < end + 50 for gap in (*range(40, 47), 150))
    assert found[1] == f"  {missing} of them missing in this cell"


def test_days_of_a_rule_are_those_of_the_calendar_year(known: Cube) -> None:
    """They begin on 1 October and end with the 20 dry days that may begin on 31 May of the next year."""
    found = section(explain(known, "ruled", (6.0, 0.0), 2001), "Days")
    count = (np.datetime64("2002-06-20") - np.datetime64("2001-10-01")).astype(int) + 1
    assert found[0].endswith(f"2001-10-01 to 2002-06-20, {count} days")
    # Those that the rain lacks in 2002: seven in February, and 31 May.
    assert found[1] == "  8 of them missing in this cell"


def test_days_of_the_soil_are_those_of_the_calendar_year(known: Cube) -> None:
    start = known["soil"]["season_start"].isel(lat=AT[0], lon=AT[1]).values.astype(float)
    seasons = [each for each in range(2) if np.isfinite(start[each])]
    assert seasons
    found = section(explain(known, "soil", (6.0, 0.0), 2002), "Days")
    assert len(found) == 1 + len(seasons)
    for line, each in zip(found[1:], seasons, strict=True):
        span = 365 if len(seasons) == 1 else int(start[1 - each] - start[each]) % 365
        assert line.startswith(
            f"  season {each + 1}: {day(int(start[each]))} to {day(int(start[each]) + span - 1)}, {span} days"
        )
    outside = section(explain(known, "soil", (6.0, 0.0), 2002), "Outside the emulator's training")
    assert len(outside) == len(seasons)
    assert all(line.startswith("emulated (season ") for line in outside)


def test_days_of_an_index_are_not_those_of_its_seasons(known: Cube) -> None:
    """The reference's season of `season` is from day 130 to day 279; season 2 has none."""
    found = explain(known, "index", (6.0, 0.0), 2002)
    days = section(found, "Days")
    (own,) = (at for at, line in enumerate(days) if line.startswith("emulated, version"))
    assert days[own + 1] == f"  season 1: {day(130)} to {day(279)}, 150 days, 0 of them missing in this cell"
    assert not any("season 2" in line for line in days)
    # 37 days from day 100 on, of which seven lie in the season.
    assert section(found, "Outside the emulator's training") == ["emulated (season 1): 4.7 % of 150 days"]


def test_days_of_parts_of_the_year_are_those_of_the_year(known: Cube) -> None:
    found = section(explain(known, "parts", (6.0, 0.0), 2002), "Days")
    assert found[0].endswith(", pr:")
    # Of the days that the rain lacks 31 May alone lies in these months.
    assert found[1:] == [
        "  MAM: 2002-03-01 to 2002-05-31, 92 days, 1 of them missing in this cell",
        "  OND: 2002-10-01 to 2002-12-31, 92 days, 0 of them missing in this cell",
    ]


def test_season_has_no_dates_or_reason(known: Cube) -> None:
    values = section(explain(known, "season", (6.0, 0.0), 2003), "Values")
    assert "onset (season 1): 132 d, 2003-05-13" in values
    assert "onset (season 2): missing" in values
    assert any(each.startswith("season_flag (season 1): valid") for each in values)
    reference = section(explain(known, "season", (6.0, 0.0), 2003), "Reference")
    assert reference[0].startswith("rain, version")
    assert reference[0].endswith("1991-01-01 to 1992-12-31")
    assert "season_start (season 1): 130 d, 11 May" in reference
    assert "rain_mean: 2.5 mm d-1" in reference
    arid = section(explain(known, "season", (8.0, -6.0), 2003), "Values")
    assert "season_flag (season 1): arid; rain varies too little for a season" in arid


def test_sea_is_explained(known: Cube) -> None:
    found = explain(known, "season", (2.0, 0.0), 2003)
    assert (found.place.lat, found.place.lon) == (4.0, 0.0)
    with pytest.raises(InputError, match="no cell with values"):
        explain(known, "season", (-8.0, 0.0), 2003)
    with pytest.raises(InputError, match="no year 1999"):
        explain(known, "season", (6.0, 0.0), 1999)


def test_year_without_days_moves_the_cell(known: Cube) -> None:
    """`dry` has no days in 2003 at 8 N, 2 E, which is the cell of all its years all the same."""
    found = explain(known, "dry", (8.0, 2.0), 2003)
    assert (found.place.lat, found.place.lon) == (8.0, 2.0)
    assert section(found, "Values") == ["dry_days: missing", "valid_days: 0 d"]


def test_product_without_time_has_a_year(known: Cube) -> None:
    with pytest.raises(InputError, match=r'(?s)has no time.*cube\["skill"\]'):
        explain(known, "skill", (6.0, 0.0), 2002)


def test_skill_or_domain_of_another_cell(known: Cube) -> None:
    found = explain(known, "dry-soil", (6.0, 0.0), 2002)
    skill = section(found, "Skill in this cell")
    assert skill[0].startswith("emulated against jules (skill, version")
    assert skill[1] == "  theta_1: r 0.9, rmse 0.03 m3 m-3, bias -0.01 m3 m-3"
    assert skill[2] == "  beta: r 0.625, rmse 0.03, bias -0.01"
    assert section(found, "Outside the emulator's training") == ["emulated: 10.1 % of 365 days"]
    assert section(explain(known, "dry-soil", (6.0, 0.0), 2003), "Outside the emulator's training") == [
        "emulated: 0.0 % of 365 days"
    ]
    assert section(explain(known, "dry", (6.0, 0.0), 2002), "Skill in this cell") == []
    assert section(explain(known, "dry", (6.0, 0.0), 2002), "Outside the emulator's training") == []


def test_lineage_licence_or_citation_is_lost(known: Cube) -> None:
    found = explain(known, "dry-soil", (6.0, 0.0), 2002)
    versions = {name: known.item(name)["properties"]["version"][:12] for name in ("dry-soil", "emulated", "rain")}
    assert section(found, "Lineage") == [
        f"dry-soil, version {versions['dry-soil']}, job toy (revision 1)",
        f"  emulated, version {versions['emulated']}, job emulate (revision 1)",
        f"    rain, version {versions['rain']}, job toy (revision 1)",
    ]
    assert section(found, "Licence") == ["CC-BY-4.0; may be redistributed: yes"]
    assert f"{CITED.text} doi:{CITED.doi}" in section(found, "Cite")
    assert "rain: Rain was measured." in section(found, "Notes")
    options = section(found, "Thresholds and options")
    assert "threshold: 50 %" in options
    assert "input: emulated" in options
    assert str(found) == repr(found)
    assert str(found).replace("'", "&#x27;") in found._repr_html_()


def test_version_that_was_used_is_replaced(tmp_path: Path) -> None:
    given = {name: toy for name, toy in toys().items() if name in ("rain", "dry")}
    rows = {"dry": ROWS["dry"]}
    assert not built(tmp_path, given, rows).failed
    used = Cube(tmp_path / "cube").item("rain")["properties"]["version"][:12]
    given["rain"].values["pr"][3] += 1
    assert not built(tmp_path, given, rows, "rain").failed
    now = Cube(tmp_path / "cube").item("rain")["properties"]["version"][:12]
    assert now != used
    found = explain(Cube(tmp_path / "cube"), "dry", (6.0, 0.0), 2002)
    assert section(found, "Lineage")[1] == (
        f"  rain, version {used}, since replaced by version {now}, whose inputs may differ"
    )
    assert section(found, "Days")[1] == f"  what follows is counted in version {now}, which has replaced it"


def test_ancestor_that_left_the_cube_stops_it(folder: Path, tmp_path: Path) -> None:

    shutil.copytree(folder / "cube", tmp_path / "cube")
    place = tmp_path / "cube/metrics/collection.json"
    collection = json.loads(place.read_text())
    collection["links"] = [each for each in collection["links"] if "rain.json" not in each["href"]]
    place.write_text(json.dumps(collection))
    found = explain(Cube(tmp_path / "cube"), "dry", (6.0, 0.0), 2002)
    assert section(found, "Lineage")[1].endswith("no longer in the cube")
    assert section(found, "Days") == []
