"""Commands that are killed with SIGKILL, at every step and at any moment, on a directory and on an object store."""

from __future__ import annotations

import random

import pytest

from cube.stores import open_store
from tests.faults.checks import Ordeal, only_live, unfinished_uploads
from tests.faults.conftest import Range
from tests.faults.harness import Cube
from tests.faults.life import Life, forget
from tests.faults.products import COLLECTIONS
from tests.s3_server import S3Server

pytestmark = pytest.mark.service

type Point = tuple[str, str] | tuple[str, str, int]
"""A step, a moment in it, and which of those in a run, counted from 0."""


def run_through(ordeal: Ordeal, points: list[Point]) -> None:
    """Kill it at each of these points in turn, then leave it alone."""
    for step, moment, *nth in points:
        ordeal.kill(step, moment, *nth)
    ordeal.finish()


STAGING: list[Point] = [
    ("lock acquire", "torn"),
    ("lock acquire", "linked"),
    ("lock acquire", "after"),
    ("claim", "torn"),
    ("claim", "linked"),
    ("state staged", "torn"),
    ("state staged", "middle"),
    ("state staged", "after"),
    ("structure", "middle", 3),
]
TWO_PASSES: list[Point] = [
    ("first pass", "torn"),
    ("first pass", "after"),
    ("pass mark", "torn"),
    ("pass mark", "after"),
]
BLOCKS: list[Point] = [
    ("block", "torn", 2),
    ("block", "after"),
    ("mark", "middle"),
    ("mark", "after", 1),
]
PUBLISHING: list[Point] = [
    ("seal", "torn"),
    ("seal", "after"),
    ("tidy", "before"),
    ("tidy", "after"),
    ("item flip", "middle"),
    ("item flip", "after"),
    ("state live", "torn"),
    ("state live", "after"),
    ("catalogue", "torn"),
    ("catalogue", "middle", 1),
    ("lock free", "middle"),
]


def test_killed_build_is_lost_or_half_published(range_: Range):
    cube = range_.cube(("wet",))
    run_through(Ordeal(cube, [], range_.base), [*STAGING, *TWO_PASSES, *BLOCKS, *PUBLISHING])
    # An attempt is given up only where it was claimed and state.json does not name it yet: three times here.
    assert cube.versions()["wet"] == range_.base.versions["wet"].replace("-1", "-4")


def test_killed_append_is_seen_by_readers(range_: Range):
    cube = range_.cube(("wet",), start="base")
    cube.declare(["base", "more"])
    points: list[Point] = [
        ("claim", "after"),
        ("take-over", "before", 1),
        ("take-over", "middle"),
        ("take-over", "after"),
        ("mark taken", "torn"),
        ("mark taken", "after"),
        ("first pass", "after"),
        ("block", "after"),
        ("seal", "after"),
        ("item flip", "middle"),
        ("item flip", "after"),
    ]
    run_through(Ordeal(cube, [range_.base], range_.grown), points)


def test_killed_build_with_maps_references_or_several_shards_a_block_is_lost(range_: Range):
    cube = range_.cube(("rain", "dry"))
    ordeal = Ordeal(cube, [], range_.base)
    ordeal.kill("block", "after", 13)  # the second block of the maps
    ordeal.kill("references", "torn")
    ordeal.kill("references", "after")
    ordeal.kill("block", "after")  # the first of two shards of a block of the metric
    ordeal.kill("item flip", "linked")
    ordeal.finish()
    cube.declare(["base", "more"])
    run_through(Ordeal(cube, [range_.base], range_.grown), [("block", "after"), ("mark", "after", 6)])


def test_killed_repair_leaves_damage_or_loses_what_is_whole(range_: Range):
    cube = range_.cube(("wet",), start="base")
    ordeal = Ordeal(cube, [range_.base], range_.base, ("build", "--repair"), damaged=damage(cube))
    points: list[Point] = [("claim", "after"), ("take-over", "after"), ("block", "after"), ("item flip", "before")]
    run_through(ordeal, points)
    assert cube.versions()["wet"] not in ordeal.damaged


def damage(cube: Cube) -> list[str]:
    """Flip a bit of one shard and delete another; the versions that are damaged by it."""
    version = cube.versions()["wet"]
    shard = f"inputs/wet/{version}/time.zarr/pr/c/0/0/"
    data = cube.store.get(shard + "0")
    cube.store.put(shard + "0", data[:60] + bytes([data[60] ^ 1]) + data[61:])
    cube.store.delete(shard + "1")
    return [version]


def test_lock_whose_holder_died_while_renewing_it_stays_locked(range_: Range):
    ordeal = Ordeal(range_.cube(("wet",)), [], range_.base)
    for moment in ("torn", "middle"):
        ordeal.kill("lock renew", moment, renew=0.01)
    ordeal.finish()


def test_killed_build_redoes_or_leaves_intermediate_arrays_elsewhere(range_: Range):
    cube = range_.cube(("wet",))
    cube.declare(scratch="intermediate")
    points: list[Point] = [("first pass", "torn", 1), ("pass mark", "after"), ("tidy", "after")]
    run_through(Ordeal(cube, [], range_.base), points)
    store = open_store(cube.folder / "intermediate")
    assert not list(store.walk(""))
    assert [each.key for each in store.leftovers("")], "what was torn is seen"


def test_killed_build_is_lost_where_nothing_tells_which_writer_was_first(range_: Range):
    """Every run makes an attempt of its own there, so what was done is taken over."""
    ordeal = Ordeal(range_.cube(("wet",)), [], range_.base, conditional=False)
    ordeal.kill("mark", "after", 2)
    ordeal.kill("mark taken", "after")
    ordeal.kill("state staged", "after")
    ordeal.kill("take-over", "before")
    ordeal.finish()


@pytest.fixture
def superseded(range_: Range) -> Cube:
    """A cube with a live version, one that it replaced, and one that was begun and will never be finished."""
    cube = range_.cube(("wet",), start="base")
    cube.declare(["changed"])
    assert cube.run(step="mark", nth=2).code != 0
    cube.declare(["base", "more"])
    assert cube.run().code == 0
    return cube


def test_killed_gc_leaves_what_nobody_deletes(range_: Range, superseded: Cube):
    forget(superseded)
    ordeal = Ordeal(superseded, [range_.base], range_.grown, ("gc", "--keep", "1", "--days", "0"))
    points: list[Point] = [
        ("gc tombstone", "before"),
        ("gc tombstone", "after"),
        ("state live", "after"),
        ("gc object", "after"),
        ("gc object", "before", 20),
        ("gc manifest", "before"),
        ("gc manifest", "after"),
        ("gc tombstone", "after", 1),
    ]
    run_through(ordeal, points)
    assert {key for key in superseded.store.walk("") if not key.startswith("runs/")} == only_live(superseded)


def test_killed_rollback_leads_somewhere_else(range_: Range, superseded: Cube):
    ordeal = Ordeal(superseded, [range_.grown], range_.base, ("rollback", "wet"))
    for step, moment in (
        ("state pinned", "torn"),
        ("state pinned", "after"),
        ("item flip", "middle"),
        ("item flip", "after"),
        ("state pinned", "after"),
    ):
        ordeal.kill(step, moment)
    assert ordeal.suffer().code == 0
    assert superseded.versions()["wet"] == range_.base.versions["wet"]


def test_killed_build_is_lost_on_an_object_store_or_leaves_uploads_that_nobody_sees(range_: Range, s3_server: S3Server):
    cube = range_.cube(("wet",), server=s3_server)
    ordeal = Ordeal(cube, [], range_.base)
    for step, moment in (
        ("lock acquire", "torn"),
        ("claim", "after"),
        ("first pass", "torn"),
        ("block", "torn"),
        ("mark", "torn"),
        ("mark", "after"),
    ):
        ordeal.kill(step, moment)
    for moment in ("after create", "torn", "before complete"):
        ordeal.kill("block", moment, part_bytes=5_000)
    assert unfinished_uploads(cube)
    run_through(ordeal, [("item flip", "torn"), ("item flip", "after"), ("catalogue", "torn", 1)])
    for each in cube.store.leftovers(""):
        cube.store.sweep(each)
    assert not unfinished_uploads(cube)


@pytest.mark.parametrize("where", ["a directory", "an object store"])
def test_kill_at_any_moment_costs_more_than_the_blocks_in_flight(
    range_: Range, where: str, request: pytest.FixtureRequest
):
    directory = where == "a directory"
    server = None if directory else request.getfixturevalue("s3_server")
    chance, kills = random.Random(2021), 10 if directory else 5
    while kills > 0:
        life = Life(range_, range_.cube(tuple(COLLECTIONS) if directory else ("wet",), server=server), chance)
        life.build(["base"], [], range_.base, min(kills, 5))
        life.build(["base", "more"], [range_.base], range_.grown, kills - life.deaths.total())
        kills -= life.deaths.total()
