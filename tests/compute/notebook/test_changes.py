"""Products of the jobs `change` and `summarise`: what their maps say, and which errors can be followed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compute.change.structure import SCENARIOS
from compute.notebook import plot
from compute.notebook.explain import explain
from cube.catalogue import Cube
from cube.errors import InputError

from .conftest import LATS, LONS, SHAPE, dry, seasons
from .products import built
from .test_map import footnote, hatched, mesh

TITLE = "Change of the wet season of a climate model with a name that is longer than any map of a few cells is wide"
ROWS = {
    "change": f"job: change, title: {TITLE}, models: [{{scenario: later, past: past}}], variables: [onset], "
    "past: {start: 2001, end: 2004}, windows: [[2041, 2044]], least: 3",
    "regions": "job: summarise, input: dry, variables: [dry_days], regions: {file: regions.geojson, name: region}",
}
WEST = {
    "type": "Feature",
    "properties": {"region": "west"},
    "geometry": {"type": "Polygon", "coordinates": [[[-7, 3], [-1, 3], [-1, 9], [-7, 9], [-7, 3]]]},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Cube:
    folder: Path = tmp_path_factory.mktemp("changes")
    (folder / "regions.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [WEST]}))
    toys = {"past": seasons(), "later": seasons(2041), "dry": dry()}
    assert not built(folder, toys, ROWS).failed
    return Cube(folder / "cube")


def test_land_without_a_change_is_white_like_the_sea(made: Cube) -> None:
    """`seasons` makes three cells arid or indeterminate in all years; others that lack one of four have a change."""
    figure = plot.map(made, "change", "onset")
    assert hatched(figure)["too few years"] == {(8.0, -6.0), (8.0, -4.0), (6.0, -6.0)}
    assert mesh(figure).count() == SHAPE[0] * SHAPE[1] - SHAPE[1] - 3
    # There is no second season anywhere but on land.
    second = hatched(plot.map(made, "change", "onset", season=2))
    assert second == {"too few years": {(lat, lon) for lat in LATS[1:] for lon in LONS}}


def test_past_period_or_test_is_told_nowhere(made: Cube) -> None:
    figure = plot.map(made, "change", "onset")
    title = figure.axes[0].get_title(loc="left").replace("\n", " ")
    assert title == f"{TITLE} first day of the season: 2041-2044 less 2001-2004, model later, season 1"
    told = footnote(figure)
    for part in ("arid below 1 mm d-1", "Mann-Whitney", "10 % of false discoveries", "at least 3 years"):
        assert part in told
    significant = plot.map(made, "change", "onset_p_value").axes[0].get_title(loc="left").replace("\n", " ")
    assert "2041-2044 against 2001-2004" in significant


def test_note_about_scenarios_is_told_twice(made: Cube) -> None:
    told = footnote(plot.map(made, "change", "onset"))
    assert SCENARIOS in told
    assert told.lower().count("one climate model") == 1
    assert told.lower().count("scenarios are not") == 1


def test_title_is_cut_at_the_edge(made: Cube) -> None:
    for figure in (plot.map(made, "change", "onset"), plot.map(made, "change", area=(-2.0, 3.0, 0.0, 9.0))):
        figure.canvas.draw()
        box = figure.axes[0].get_tightbbox(for_layout_only=False)
        assert box is not None
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1


def test_change_is_explained_or_the_fix_fails(made: Cube) -> None:
    with pytest.raises(InputError, match="changes cannot be explained") as caught:
        explain(made, "change", (4.0, 0.0), 2042)
    (problem,) = caught.value.problems
    assert problem.fix == "explain later and past"
    explain(made, "later", (4.0, 0.0), 2042)
    explain(made, "past", (4.0, 0.0), 2002)


def test_regions_are_taken_for_cells(made: Cube) -> None:
    for ask in (
        lambda: explain(made, "regions", (4.0, 0.0), 2002),
        lambda: plot.map(made, "regions"),
        lambda: plot.season(made, ["regions"], (4.0, 0.0)),
        lambda: plot.season(made, ["dry", "regions"], (4.0, 0.0)),
    ):
        with pytest.raises(InputError, match="this product has regions, no cells") as caught:
            ask()
        (problem,) = caught.value.problems
        assert problem.where == "regions"
        assert problem.fix == 'read its summary.csv, or cube["regions"]'
    assert made["regions"]["dry_days"].sizes["region"] == 1
    assert made.item("regions")["assets"]["summary"]["href"].endswith("summary.csv")
