"""A place over the years: which cell, which days, and what is said of years without a season."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from compute.nearest import distance_km
from compute.notebook import plot
from compute.notebook.explain import explain
from compute.notebook.picture import Picture
from cube.catalogue import Cube
from cube.errors import InputError

from .test_map import footnote


def bars(figure: Picture, panel: int) -> dict[int, tuple[float, float]]:
    """First and last day by year."""
    found = {}
    for each in figure.axes[panel].patches:
        assert isinstance(each, Rectangle)
        year = round(each.get_x() + each.get_width() / 2)
        found[year] = (each.get_y(), each.get_y() + each.get_height() - 1)
    return found


def marks(figure: Picture, panel: int) -> dict[str, list[float]]:
    """Years by the reason for having no number."""
    lines = (line for line in figure.axes[panel].lines if line.get_gid() not in ("line", "reference"))
    return {str(line.get_gid()): list(line.get_xdata()) for line in lines}


def title(figure: Picture) -> str:
    (text,) = (each for each in figure.texts if each.get_gid() == "title")
    return str(text.get_text())


def test_bar_is_another_years_or_a_day_short(cube: Cube) -> None:
    figure = plot.season(cube, ["observed", "scenario"], (3.9, 0.1))
    assert len(figure.axes) == 2
    assert bars(figure, 0) == {2002: (131, 280), 2003: (132, 281), 2004: (133, 282)}
    assert bars(figure, 1) == {year: (130 + year - 2041, 279 + year - 2041) for year in range(2042, 2047)}
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    widths = [axes.get_position().width / np.ptp(axes.get_xlim()) for axes in figure.axes]
    assert widths[0] == pytest.approx(widths[1])


def test_year_without_season_is_left_blank(cube: Cube) -> None:
    figure = plot.season(cube, "observed", (3.9, 0.1))
    assert marks(figure, 0) == {"incomplete": [2001]}
    assert "incomplete" in [each.get_text() for each in figure.legends[0].get_texts()]
    reference = [line for line in figure.axes[0].lines if line.get_gid() == "reference"]
    assert [line.get_ydata()[0] for line in reference] == [130, 279]


def test_cell_of_the_sea_is_drawn_or_its_distance_hidden(cube: Cube) -> None:
    figure = plot.season(cube, "observed", (2.2, 0.1))
    km = distance_km(2.2, 0.1, np.array([4.0]), np.array([0.0]))[0]
    assert f"cell at 4, 0, {km:.0f} km from 2.2, 0.1" in title(figure)
    assert "season 1" in title(figure)
    with pytest.raises(InputError, match="no cell with values"):
        plot.season(cube, "observed", (-9.0, 0.1))


@pytest.mark.parametrize(("place", "reason"), [((8.2, -6.0), "arid"), ((6.0, -5.8), "indeterminate")])
def test_place_without_seasons_is_drawn_as_its_neighbour(cube: Cube, place: tuple[float, float], reason: str) -> None:
    figure = plot.season(cube, "observed", place)
    assert bars(figure, 0) == {}
    assert marks(figure, 0) == {reason: [2001, 2002, 2003, 2004]}
    assert figure.axes[0].get_ylim() == (0, 365)
    found = explain(cube, "observed", place, 2002).place
    assert f"cell at {found.lat:g}, {found.lon:g}, " in title(figure)
    assert (found.lat, found.lon) == (round(place[0]), round(place[1]))
    length = plot.season(cube, ["observed"], place, variable="length")
    assert marks(length, 0) == {reason: [2001, 2002, 2003, 2004]}


def test_season_that_the_place_lacks_is_an_error(cube: Cube) -> None:
    figure = plot.season(cube, ["observed", "scenario"], (4.0, 0.0), season=2)
    assert marks(figure, 1) == {"no season": list(range(2041, 2047))}
    assert "cell at 4, 0, 0 km" in title(figure)


def test_panels_of_one_grid_are_of_different_cells(cube: Cube) -> None:
    """`gap` has no data at 4 N, 0 E: of the cells of both the nearest to 4.4 N, 0.1 E is 6 N, 0 E."""
    figure = plot.season(cube, ["observed", "gap"], (4.4, 0.1))
    assert "cell at 6, 0, " in title(figure)
    assert bars(figure, 0) == bars(figure, 1) != {}
    assert all("cell" not in axes.get_title(loc="left") for axes in figure.axes)
    assert "cell at 4, 0, " in title(plot.season(cube, "observed", (4.4, 0.1)))


def test_cell_of_another_grid_is_told_in_the_footnote_alone(cube: Cube) -> None:
    figure = plot.season(cube, ["observed", "elsewhere"], (4.0, 0.1))
    assert "cell at 4, 0, 11 km from 4, 0.1" in title(figure)
    first, second = (axes.get_title(loc="left").replace("\n", " ") for axes in figure.axes)
    assert "cell" not in first
    # Of 3 N and 5 N, as far away, 3 N is sea.
    assert second.startswith("elsewhere cell at 5, 0, ")


def test_reference_is_taken_for_the_mean_onset(cube: Cube) -> None:
    figure = plot.season(cube, "observed", (4.0, 0.0))
    assert "season of the reference's mean year" in [each.get_text() for each in figure.legends[0].get_texts()]


def test_footnote_leaves_out_a_product(cube: Cube) -> None:
    told = footnote(plot.season(cube, ["observed", "scenario"], (4.0, 0.0)))
    for name, reference in (("observed", "rain"), ("scenario", "historical")):
        version = cube.item(name)["properties"]["version"][:12]
        assert f"{name}, version {version}; reference: {reference} 1991-01-01" in told


def test_numbers_are_drawn_as_bars(cube: Cube, tmp_path: Path) -> None:
    figure = plot.season(cube, "dry", (6.0, -2.0), path=tmp_path / "a.png")
    (line,) = (each for each in figure.axes[0].lines if each.get_gid() == "line")
    np.testing.assert_array_equal(line.get_ydata(), [204, np.nan, 206])
    np.testing.assert_array_equal(line.get_xdata(), [2001, 2002, 2003])
    assert figure.axes[0].get_ylabel() == "dry days (days)"
    assert marks(figure, 0) == {"too many days missing": [2002]}
    assert [each.get_text() for each in figure.legends[0].get_texts()] == ["too many days missing"]
    length = plot.season(cube, ["observed", "scenario"], (4.0, 0.0), variable="length")
    np.testing.assert_array_equal(length.axes[1].lines[0].get_ydata(), [np.nan, *[150] * 5])
    plot.season(cube, "dry", (6.0, -2.0), path=tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_texts_lie_on_each_other(cube: Cube) -> None:
    for figure in (
        plot.season(cube, ["observed", "scenario"], (3.9, 0.1)),
        plot.season(cube, ["dry"], (6.0, -2.0)),
        plot.season(cube, ["observed", "elsewhere"], (3.9, 0.1)),
        plot.season(cube, "observed", (8.0, -6.0)),
        plot.season(cube, "gap", (4.0, 2.0)),
    ):
        figure.canvas.draw()
        boxes = [each.get_window_extent() for each in [*figure.texts, *figure.legends]]
        boxes += [axes.get_tightbbox() for axes in figure.axes]
        for at, one in enumerate(boxes):
            assert one.x0 >= 0, at
            assert one.y0 >= 0, at
            assert one.x1 <= figure.bbox.x1 + 1, at
            assert not any(one.overlaps(other) for other in boxes[at + 1 :]), at


@pytest.mark.parametrize(
    ("products", "given", "told"),
    [
        (["observed", "dry"], {}, r"(?s)no axis in common.*dry has dry_days, valid_days.*draw each by itself"),
        (["dry", "observed"], {"variable": "dry_days"}, r"(?s)observed: no variable 'dry_days'.*draw each by itself"),
        (
            ["observed", "scenario"],
            {"variable": "onst"},
            r"(?s)no variable 'onst'.*one of: cessation, length, onset, or",
        ),
        (["observed"], {"variable": "onset_date"}, r"(?s)no variable.*one of: cessation, length, onset$"),
        (["observed", "change"], {}, "change: no number a year"),
        (["change"], {}, "no number a year"),
        (["observed", "parts"], {"variable": "onset", "season": 3}, "parts: no variable 'onset'"),
        (["parts"], {}, "MAM, OND"),
        (["observed"], {"season": 3}, "no season '3'"),
        ([], {}, "no product is named"),
    ],
)
def test_products_without_a_common_axis_are_drawn(
    cube: Cube, products: list[str], given: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        plot.season(cube, products, (4.0, 0.0), **given)
