"""Which files patterns name, and what they are called in a product."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.discovery import discover, nothing, translate


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("tamsat/2000/01/b.nc", "tamsat/2000/01/a.nc", "tamsat/2001/c.nc", "cru/d.nc", "tamsat/.hidden.nc"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "tamsat" / "folder.nc").mkdir()
    return tmp_path


def names(folder: Path, *patterns: str) -> list[str]:
    return [each.name for each in discover(patterns, folder)]


def test_folders_of_any_depth_are_sorted_and_named_below_the_fixed_part(tree: Path) -> None:
    assert names(tree, "tamsat/**/*.nc") == ["2000/01/a.nc", "2000/01/b.nc", "2001/c.nc"]


def test_a_name_does_not_depend_on_what_else_is_there(tree: Path) -> None:
    before = names(tree, "tamsat/**/*.nc")
    (tree / "tamsat/2002/e.nc").parent.mkdir()
    (tree / "tamsat/2002/e.nc").touch()
    assert names(tree, "tamsat/**/*.nc")[:3] == before


def test_several_patterns_are_named_below_what_they_share(tree: Path) -> None:
    assert names(tree, "cru/*.nc", "tamsat/2001/*.nc") == ["cru/d.nc", "tamsat/2001/c.nc"]


def test_a_file_that_two_patterns_name_is_one(tree: Path) -> None:
    assert names(tree, "tamsat/2001/*.nc", "tamsat/2001/c.nc") == ["c.nc"]


def test_locations_are_absolute(tree: Path) -> None:
    (found,) = discover(["cru/../cru/d.nc"], tree)
    assert (found.location, found.name) == (str(tree / "cru/d.nc"), "d.nc")


def test_a_pattern_without_a_file_stands_for_itself(tree: Path) -> None:
    (found,) = discover(["tamsat/1999/*.nc"], tree)
    problem = nothing(found)
    assert problem is not None
    assert problem.code == "files-none"


def test_addresses_are_taken_as_they_are(tree: Path) -> None:
    (found,) = discover(["https://example.org/archive/a.nc"], tree)
    assert (found.location, found.name) == ("https://example.org/archive/a.nc", "a.nc")


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("a/**/*.nc", "a/x.nc", True),
        ("a/**/*.nc", "a/b/c/x.nc", True),
        ("a/*.nc", "a/b/x.nc", False),
        ("a/rfe?.nc", "a/rfe1.nc", True),
        ("a/rfe[12].nc", "a/rfe3.nc", False),
        ("a/rfe[!12].nc", "a/rfe3.nc", True),
        ("a/x.nc", "a/xxnc", False),
        ("**", "a/b/c", True),
    ],
)
def test_patterns_of_keys(pattern: str, key: str, fits: bool) -> None:
    import re

    assert bool(re.fullmatch(translate(pattern), key)) is fits


@given(st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=4))
def test_a_key_is_its_own_pattern(parts: list[str]) -> None:
    import re

    key = "/".join(parts)
    assert re.fullmatch(translate(key), key)
