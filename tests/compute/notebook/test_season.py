"""A place over the years: which cell, which days, and what is said of years without a season."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from compute.nearest import distance_km
from compute.notebook import plot
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
    marks = {line.get_gid(): list(line.get_xdata()) for line in figure.axes[0].lines}
    assert marks["incomplete"] == [2001]
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


def test_footnote_leaves_out_a_product(cube: Cube) -> None:
    told = footnote(plot.season(cube, ["observed", "scenario"], (4.0, 0.0)))
    for name, reference in (("observed", "rain"), ("scenario", "historical")):
        version = cube.item(name)["properties"]["version"][:12]
        assert f"{name}, version {version}; reference: {reference} 1991-01-01" in told


def test_numbers_are_drawn_as_bars(cube: Cube, tmp_path: Path) -> None:
    figure = plot.season(cube, "dry", (6.0, -2.0), path=tmp_path / "a.png")
    (line,) = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), [204, np.nan, 206])
    np.testing.assert_array_equal(line.get_xdata(), [2001, 2002, 2003])
    assert figure.axes[0].get_ylabel() == "dry days (days)"
    length = plot.season(cube, ["observed", "scenario"], (4.0, 0.0), variable="length")
    np.testing.assert_array_equal(length.axes[1].lines[0].get_ydata(), [np.nan, *[150] * 5])
    plot.season(cube, "dry", (6.0, -2.0), path=tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_texts_lie_on_each_other(cube: Cube) -> None:
    for figure in (
        plot.season(cube, ["observed", "scenario"], (3.9, 0.1)),
        plot.season(cube, ["dry"], (6.0, -2.0)),
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
        (["observed", "dry"], {}, "no axis in common"),
        (["change"], {}, "no number a year"),
        (["parts"], {}, "MAM, OND"),
        (["observed"], {"season": 3}, "no season '3'"),
        ([], {}, "no product is named"),
    ],
)
def test_products_without_a_common_axis_are_drawn(
    cube: Cube, products: list[str], given: dict[str, int], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        plot.season(cube, products, (4.0, 0.0), **given)
