"""Maps: what is drawn where, in which colours, what is hatched, and what is said below."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from PIL import Image

from compute.caveats import TEMPERATURE_ONLY
from compute.notebook import plot
from compute.notebook.colours import day_text, month_starts, scale
from compute.notebook.picture import Picture
from cube.catalogue import Cube
from cube.errors import InputError, MissingObjectError

from .conftest import LATS, LONS, SHAPE, dry, seasons
from .products import built


def hatched(figure: Picture) -> dict[str, set[tuple[float, float]]]:
    """Centres (lat, lon) of the hatched cells, by what the legend calls them."""
    found = {}
    for patch in figure.axes[0].patches:
        corners = patch.get_path().vertices.reshape(-1, 5, 2)[:, :4]
        assert patch.get_hatch()
        centres = corners.mean(axis=1)
        found[str(patch.get_gid())] = {(float(lat), float(lon)) for lon, lat in centres}
    return found


def footnote(figure: Picture) -> str:
    (text,) = (each for each in figure.texts if each.get_gid() == "footnote")
    return str(text.get_text()).replace("\n", " ")


def mesh(figure: Picture) -> np.ma.MaskedArray[Any, Any]:
    (found,) = (each for each in figure.axes[0].collections if each.get_gid() == "values")
    return np.ma.asarray(found.get_array())


def cells(mask: np.ndarray[Any, Any]) -> set[tuple[float, float]]:
    return {(LATS[row], LONS[column]) for row, column in np.argwhere(mask)}


def test_another_year_or_season_is_drawn(cube: Cube) -> None:
    figure = plot.map(cube, "observed", when=2003)
    expected = np.broadcast_to(102 + 10 * np.arange(SHAPE[1]), SHAPE)
    drawn = mesh(figure).reshape(SHAPE)
    assert (drawn.compressed() == np.ma.masked_array(expected, drawn.mask).compressed()).all()
    assert drawn.count() == 15 - 3
    assert "season 1, 2003" in figure.axes[0].get_title(loc="left")
    with pytest.raises(InputError, match=r"(?s)no season '3'.*one of: 1, 2"):
        plot.map(cube, "observed", when=2003, season=3)


def test_mean_takes_missing_years_for_zero(cube: Cube) -> None:
    figure = plot.map(cube, "observed", when=(2001, 2002))
    drawn = mesh(figure).reshape(SHAPE)
    assert drawn[1, 0] == 100.5
    assert drawn[1, 3] == 131
    assert drawn[1, 4] == 140
    assert "1 to 2 of 2" in footnote(figure)
    assert "mean of 2001 to 2002" in figure.axes[0].get_title(loc="left")
    assert set(hatched(figure)) == {"arid", "indeterminate"}


def test_masked_cells_have_no_reason_or_the_sea_has_one(cube: Cube) -> None:
    figure = plot.map(cube, "observed", when=2002)
    assert hatched(figure) == {
        "arid": {(8.0, -6.0), (8.0, -4.0)},
        "indeterminate": {(6.0, -6.0)},
        "missing days": {(4.0, 2.0)},
    }
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["arid (2 cells)", "indeterminate (1 cell)", "missing days (1 cell)"]
    hatches = [patch.get_hatch() for patch in figure.axes[0].patches]
    assert len(set(hatches)) == 3
    assert "too many days missing" in hatched(plot.map(cube, "dry", when=2002))
    assert hatched(plot.map(cube, "dry", when=2003)) == {}


def test_insignificant_changes_look_certain(cube: Cube) -> None:
    figure = plot.map(cube, "change", "onset", when=(2041, 2070))
    found = hatched(figure)
    shape = np.zeros(SHAPE, bool)
    insignificant = shape.copy()
    insignificant[1:, 2:] = True
    assert found["not significant"] == cells(insignificant)
    assert len(found["not significant"]) == 9
    assert found["out of domain"] == {(4.0, -6.0)}
    assert found["too few seasons"] == {(2.0, lon) for lon in LONS[:3]}
    hatches = {str(patch.get_gid()): patch for patch in figure.axes[0].patches}
    assert hatches["not significant"].get_hatch() != hatches["too few seasons"].get_hatch()
    assert hatches["not significant"].get_facecolor()[3] == 0
    assert "One climate model" in footnote(figure)
    later = plot.map(cube, "change", "onset")
    assert "2070-2099" in later.axes[0].get_title(loc="left")
    assert mesh(later).max() == 12
    assert "not significant" not in hatched(later)
    with pytest.raises(InputError, match="2041-2070, 2070-2099"):
        plot.map(cube, "change", when="1999-2020")


def test_no_change_has_a_colour(cube: Cube) -> None:
    figure = plot.map(cube, "change", "onset", when="2041-2070")
    bar = figure.axes[1]
    low, high = bar.get_ylim()
    assert low == -high
    colours = scale("onset_change", {}, np.array([-20.0, 3.0, 7.0]), 365)
    assert list(colours.norm.boundaries) == [-each for each in colours.norm.boundaries[::-1]]
    below, above = (np.array(colours.colours(colours.norm(each))) for each in (-0.1, 0.1))
    assert abs(below[:3].mean() - above[:3].mean()) < 0.05
    drier = scale("dry_days_change", {}, np.array([-9.0, 9.0]), 365)
    red, _, blue, _ = drier.colours(drier.norm(100.0))
    assert red > blue
    shorter = scale("length_change", {}, np.array([-9.0, 9.0]), 365)
    red, _, blue, _ = shorter.colours(shorter.norm(-100.0))
    assert red > blue


def test_days_near_new_year_look_far_apart() -> None:
    colours = scale("onset", {}, np.array([-5.0, 100.0, 330.0, 360.0]), 365)
    near, same = (colours.of(np.array([day])) for day in (-5.0, 360.0))
    assert colours.norm(near) == colours.norm(same)
    assert colours.ticks is not None
    assert colours.ticks[1][0] == "Jan"
    assert scale("onset", {}, np.array([90.0, 150.0]), 365).turn is None


@pytest.mark.parametrize(
    ("day", "year", "text"),
    [(0, 365, "1 Jan"), (59, 365, "1 Mar"), (-1, 365, "31 Dec"), (400, 365, "5 Feb"), (59, 360, "30 Feb")],
)
def test_day_is_told_wrongly(day: float, year: int, text: str) -> None:
    assert day_text(day, year) == text
    assert len(month_starts(year)) == 12


def test_units_or_caveats_are_not_told(cube: Cube) -> None:
    assert plot.map(cube, "dry", when=2001).axes[1].get_ylabel() == "dry_days (days)"
    assert plot.map(cube, "change", "onset").axes[1].get_ylabel() == "onset_change (days)"
    assert plot.map(cube, "observed").axes[1].get_ylabel() == "onset (day of the year)"
    told = footnote(plot.map(cube, "observed", when=2001))
    version = cube.item("observed")["properties"]["version"][:12]
    assert f"observed, version {version}" in told
    assert "licence: CC-BY-4.0" in told
    assert "reference: rain 1991-01-01 to 1992-12-31" in told
    assert "timing only" in footnote(plot.map(cube, "own", when=2001))


def test_caveat_of_the_input_is_lost(tmp_path: Path) -> None:
    weather, metric = dry(), seasons()
    weather.notes = (TEMPERATURE_ONLY, "a note of the input alone")
    metric.notes = ("Seasons are counted.",)
    rows = {"season": "job: toy, key: season, input: weather", "plain": "job: toy, key: plain"}
    assert not built(tmp_path, {"weather": weather, "season": metric, "plain": metric}, rows).failed
    told = footnote(plot.map(Cube(tmp_path / "cube"), "season", when=2001))
    assert TEMPERATURE_ONLY in told
    assert "Seasons are counted." in told
    assert "input alone" not in told
    assert TEMPERATURE_ONLY not in footnote(plot.map(Cube(tmp_path / "cube"), "plain", when=2001))


def test_same_picture_has_other_bytes(cube: Cube, tmp_path: Path) -> None:
    first = plot.map(cube, "observed", when=2002, path=tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "image.cmap": "jet"}):
        plot.map(cube, "observed", when=2002, path=tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes() == first._repr_png_()
    with Image.open(tmp_path / "a.png") as image:
        assert set(image.info) <= {"dpi"}


def test_texts_lie_on_each_other(cube: Cube) -> None:
    for figure in (plot.map(cube, "observed", when=2002), plot.map(cube, "national"), plot.map(cube, "sites")):
        figure.canvas.draw()
        boxes = [each.get_window_extent() for each in figure.texts]
        boxes += [each.get_window_extent() for each in figure.legends]
        axes = figure.axes[0]
        boxes.append(axes.get_tightbbox(for_layout_only=False))
        boxes.append(figure.axes[1].get_tightbbox())
        for at, one in enumerate(boxes):
            assert one.x0 >= 0, at
            assert one.y0 >= 0, at
            assert one.x1 <= figure.bbox.x1 + 1, at
            assert not any(one.overlaps(other) for other in boxes[at + 1 :]), at


def test_area_keeps_what_lies_outside(cube: Cube) -> None:
    figure = plot.map(cube, "observed", when=2002, area=(-4.5, 3.0, 2.5, 8.5))
    assert hatched(figure) == {"arid": {(8.0, -4.0)}, "missing days": {(4.0, 2.0)}}
    assert figure.axes[0].get_xlim() == (-4.5, 2.5)


def test_area_without_a_cell_is_drawn_empty(cube: Cube) -> None:
    with pytest.raises(InputError) as refused:
        plot.map(cube, "observed", when=2002, area=(100.0, -40.0, 110.0, -30.0))
    assert refused.value.problems[0].code == "area-unknown"


def test_projected_map_is_drawn_in_degrees(cube: Cube) -> None:
    figure = plot.map(cube, "national")
    (values,) = (each for each in figure.axes[0].collections if each.get_gid() == "values")
    x = np.unique(values.get_coordinates()[..., 0])
    np.testing.assert_array_equal(x, 1000.0 * np.arange(398, 418, 4))
    assert figure.axes[0].get_xlim()[0] < 398e3
    # Southampton Water and the Solent lie south of these cells, at about 51.7 N, 2 W.
    wide = plot.map(cube, "national", area=(-6.0, 50.0, 2.0, 52.0))
    (coast,) = (each for each in wide.axes[0].collections if each.get_gid() == "coasts")
    points = np.concatenate([path.vertices for path in coast.get_paths()])
    # Lizard Point, 49.959 N 5.206 W, is SW 699 115 of the National Grid.
    assert np.hypot(*(points - (169_900, 11_500)).T).min() < 3000


def test_places_without_a_grid_are_not_drawn(cube: Cube) -> None:
    figure = plot.map(cube, "sites", "ssmi", when=2001)
    (values,) = (each for each in figure.axes[0].collections if each.get_gid() == "values")
    assert len(values.get_paths()) == 3
    np.testing.assert_allclose(np.sort(values.get_array()), [-1.25, 0.5, 4.5])
    classes = plot.map(cube, "sites", "drought_class", when=2001)
    assert [each.get_text() for each in classes.axes[1].get_yticklabels()] == ["none", "D0", "D1"]


def test_months_are_mixed_up(cube: Cube) -> None:
    with pytest.raises(InputError, match=r"(?s)several months.*MAM, OND"):
        plot.map(cube, "parts", when=2001)
    assert mesh(plot.map(cube, "parts", when=2001, season="OND")).max() == 107
    assert mesh(plot.map(cube, "parts", when=2001, season="MAM")).max() == 207


@pytest.mark.parametrize(
    ("product", "variable", "when", "told"),
    [
        ("observed", "rainfall", None, "no variable 'rainfall'"),
        ("observed", None, 1999, "no year 1999"),
        ("observed", None, (2004, 2001), "is no period"),
        ("observed", None, "1850-01", "no '1850-01'"),
        ("observed", "onset_date", 2001, "dates"),
        ("observed", "season_start", 2001, "no time"),
        ("observed", "season_flag", None, "has no mean"),
    ],
)
def test_wrong_choice_gives_another_map(cube: Cube, product: str, variable: str | None, when: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        plot.map(cube, product, variable, when=when)


def test_first_layer_is_drawn_for_all(cube: Cube) -> None:
    for ask in (lambda: plot.map(cube, "layers"), lambda: plot.season(cube, "layers", (4.0, 0.0))):
        with pytest.raises(InputError, match=r"(?s)depth \(0.05, 2\).*isel\(depth=0\)"):
            ask()


def test_unknown_product_is_a_key_error(cube: Cube) -> None:
    with pytest.raises(MissingObjectError, match="there is no product"):
        plot.map(cube, "observd")


def test_borders_hide_the_values(cube: Cube) -> None:
    figure = plot.map(cube, "observed", when=2002)
    names = [each.get_gid() for each in figure.axes[0].collections]
    assert names == ["values", "countries", "coasts"]
    assert all(each.get_linewidths()[0] < 1 for each in figure.axes[0].collections[1:])
    assert figure.axes[0].patches[0].get_facecolor() == to_rgba("0.88")
