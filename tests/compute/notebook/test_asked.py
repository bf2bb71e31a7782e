"""Places, areas, years and files as people get them wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compute.notebook import plot
from compute.notebook.explain import explain
from cube.catalogue import Cube
from cube.errors import CubeError, InputError, RequestError, WriteError

from .test_map import mesh


def code(error: CubeError) -> str:
    (problem,) = error.problems
    assert problem.fix
    return problem.code


@pytest.mark.parametrize(
    "when", ["2", "200", "", "2003-0", "2003-01-", (2003,), (2001, 2002, 2003), (2001, "2003"), 2003.0, True, [None, 2]]
)
def test_year_that_is_none_draws_another(cube: Cube, when: Any) -> None:
    with pytest.raises(InputError) as caught:
        plot.map(cube, "observed", when=when)
    assert code(caught.value) == "choice-unknown"


@pytest.mark.parametrize(
    "when", [np.int64(2003), "2003", "2003-01", "2003-01-01", (2003, np.int32(2003)), [2003, 2003]]
)
def test_year_is_refused_as_it_is_written(cube: Cube, when: Any) -> None:
    """Onset of 2003 in the second row, which has it in every column: 102 and ten more for each column."""
    assert mesh(plot.map(cube, "observed", when=when))[1].tolist() == [102, 112, 122, 132, 142]


def test_month_of_days_is_its_first_day(days: Cube) -> None:
    """The rain of day n is n: of 31 days in January of a mean of 15, of 28 in February of 44.5."""
    assert mesh(plot.map(days, "days", "dry_days", when="2001-01"))[0, 0] == 15
    assert mesh(plot.map(days, "days", "dry_days", when="2001-02"))[0, 0] == 44.5
    assert mesh(plot.map(days, "days", "dry_days", when="2001-02-01"))[0, 0] == 31


@pytest.mark.parametrize(
    ("product", "choice"),
    [
        ("observed", {"model": "x"}),
        ("dry", {"season": 2}),
        ("dry", {"season": 1}),
        ("parts", {"season": 3}),
        ("change", {"season": 2}),
        ("change", {"model": "x"}),
        ("change", {"when": "2041"}),
        ("change", {"when": "from 2041 to 2070"}),
    ],
)
def test_choice_that_the_product_lacks_is_ignored(cube: Cube, product: str, choice: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        plot.map(cube, product, **choice)
    assert code(caught.value) == "choice-unknown"


def test_season_that_a_line_lacks_is_ignored(cube: Cube) -> None:
    with pytest.raises(InputError, match="dry_days has one season"):
        plot.season(cube, "dry", (4.0, 0.0), season=2)


@pytest.mark.parametrize(
    "area",
    [
        (1, 2, 3),
        "-6,2,2,8",
        ("-6", "2", "2", "8"),
        (-6, 2, float("nan"), 8),
        (2, 2, 2, 8),
        (-6, 8, 2, 2),
        (2, 2, -6, 8),
        (-6, 2, 2, 91),
        5,
    ],
)
def test_area_without_extent_is_drawn(cube: Cube, area: Any) -> None:
    with pytest.raises(InputError) as caught:
        plot.map(cube, "observed", when=2003, area=area)
    assert code(caught.value) == "area-unknown"


@pytest.mark.parametrize("name", ["", ".", "absent/west.png", "folder", "a\0b.png"])
def test_path_that_is_no_file_is_told_after_the_drawing(cube: Cube, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    path = f"{tmp_path}/{name}" if name else name
    for ask in (
        lambda: plot.map(cube, "no-such-product", path=path),
        lambda: plot.season(cube, "no-such-product", (4.0, 0.0), path=path),
        lambda: plot.map(cube, "observed", when=2003).write(path),
    ):
        with pytest.raises(RequestError) as caught:
            ask()
        assert code(caught.value) == "picture-target"


def test_full_disk_is_a_traceback(cube: Cube) -> None:
    with pytest.raises(WriteError, match="No space left"):
        plot.map(cube, "observed", when=2003, path="/dev/full")


@pytest.mark.parametrize(
    "place", [9.0, (1,), None, ("a", "b"), "10,30", ("10", "30"), (4.0, float("nan")), (95.0, 0.0), (4.0, 0.0, 1.0)]
)
def test_place_that_is_none_is_another(cube: Cube, place: Any) -> None:
    for ask in (lambda: plot.season(cube, "observed", place), lambda: explain(cube, "observed", place, 2003)):
        with pytest.raises(InputError) as caught:
            ask()
        assert code(caught.value) == "place-unknown"


@pytest.mark.parametrize("year", ["2003", 2003.0, None, (2001, 2003)])
def test_year_of_an_explanation_is_no_number(cube: Cube, year: Any) -> None:
    with pytest.raises(InputError) as caught:
        explain(cube, "observed", (4.0, 0.0), year)
    assert code(caught.value) == "choice-unknown"


def test_numbers_of_numpy_are_refused(cube: Cube) -> None:
    found = explain(cube, "observed", np.array([4.0, 0.0]), np.int64(2003))  # type: ignore[arg-type]
    assert str(found) == str(explain(cube, "observed", (4.0, 0.0), 2003))
