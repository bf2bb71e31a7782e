"""A growing and changing archive: readers see what is there, and what a file touches is remade and nothing else."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

from batch.build import Outcome
from tests.batch.series import (
    MONTH,
    SHAPE,
    YEAR,
    Series,
    counts,
    dry_days,
    linked,
    name_of,
    often,
    series,
    small_blocks,
    tree,
    two_passes,
)

READER = """
import json, pathlib, sys
import numpy, xarray

product, values, stop = map(pathlib.Path, sys.argv[1:])
expected, kept, seen = numpy.load(values), None, []
draw = numpy.random.default_rng(1)
while True:
    last = stop.exists()
    item = json.loads((product / "rain.json").read_bytes())
    opened = [xarray.open_zarr(product / item["assets"][each]["href"]) for each in ("time", "map")]
    for found in opened:
        count = found.sizes["time"]
        assert item["properties"]["cic:time"]["count"] == count
        numpy.testing.assert_array_equal(found["pr"].values, expected[:count])
        first = found["time"].values[0]
        assert [(day - first).days for day in found["time"].values] == list(range(count))
        assert first.isoformat() == "1970-01-01T00:00:00"
    if kept is None:
        kept = opened
        print("ready", flush=True)
    part = slice(*sorted(draw.integers(0, kept[0].sizes["time"], 2)))
    for found in kept:
        numpy.testing.assert_array_equal(found["pr"][part].values, expected[: found.sizes["time"]][part])
    seen.append(count)
    if last:
        break
print(json.dumps(seen))
"""


@pytest.fixture
def rain(tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    return Series(tmp_path, monkeypatch)


class Reader:
    """A process that reads what the item points at, again and again, and what it pointed at in the beginning.

    It has xarray alone and knows the values of all days.
    """

    def __init__(self, project: Series, days: int) -> None:
        np.save(project.folder / "values.npy", series("pr", range(days)))
        self._stop = project.folder / "stop"
        arguments = [
            str(path) for path in (project.folder / "cube/inputs/rain", project.folder / "values.npy", self._stop)
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", READER, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", self._process.communicate()[1]

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def seen(self) -> list[int]:
        """How many days each reading held, once it has read the last version."""
        self._stop.touch()
        output, errors = self._process.communicate(timeout=120)
        assert self._process.returncode == 0, errors
        return list(json.loads(output))


def grows(project: Series, steps: list[range]) -> None:
    """Add files step by step while somebody reads."""
    project.write(range(steps[0].start), MONTH * 4)
    project.build()
    with Reader(project, steps[-1].stop) as reader:
        for step in steps:
            project.write(step, 1 if len(step) < MONTH else MONTH)
            assert not project.build().failed
        seen = reader.seen()
    assert seen == sorted(seen)
    assert set(seen) <= {steps[0].start, *(step.stop for step in steps)}
    assert seen[-1] == steps[-1].stop
    years = project.open("dry", "metrics")["dry_days"]
    np.testing.assert_array_equal(years.fillna(-1).values, dry_days(steps[-1].stop))


def test_reader_of_a_growing_product_sees_what_is_not_there(rain):
    days = [range(day, day + 1) for day in range(2 * YEAR - 2, 2 * YEAR + 3)]
    grows(rain, [*days, range(2 * YEAR + 3, 3 * YEAR), range(3 * YEAR, 4 * YEAR + 1)])


@pytest.mark.soak
def test_reader_of_a_product_that_grows_for_years_sees_what_is_not_there(rain):
    days = [range(day, day + 1) for day in range(2 * YEAR - 20, 2 * YEAR + 120)]
    years = [range(start, start + YEAR) for start in range(2 * YEAR + 120, 12 * YEAR, YEAR)]
    last = years[-1].stop
    grows(rain, [*days, *years, *(range(day, day + 1) for day in range(last, last + 200))])


def touched(project: Series, days: range, layout: str = "time") -> int:
    """Blocks that hold some of the days, by the shape of the shards that lie on the store."""
    total = 0
    for name in project.names:
        array = json.loads((project.root() / f"{layout}.zarr/{name}/zarr.json").read_bytes())
        steps, *tile = array["chunk_grid"]["configuration"]["chunk_shape"]
        tiles = np.prod([-(-size // part) for size, part in zip(SHAPE, tile, strict=True)])
        total += len({day // steps for day in days}) * int(tiles)
    return total


def assert_made(project: Series, outcome: Outcome, days: range, years: range | None = None) -> None:
    """Just the blocks of the days and, downstream, of the years; all others were taken over."""
    made = touched(project, days) + touched(project, days, "map")
    end = project.open().sizes["time"]
    blocks = touched(project, range(end)) + touched(project, range(end), "map")
    whole = end // YEAR
    years = range(days.start // YEAR, min(whole, -(-days.stop // YEAR))) if years is None else years
    wanted = {"rain": (made, blocks - made)}
    # What is told of the year that is going on is a block of its own, made of the last year's days.
    going = (days.stop - 1) // YEAR >= min(whole * YEAR, end - 1) // YEAR
    if len(years) or going:
        wanted["dry"] = (len(years) + going, whole - len(years) + (not going))
    assert counts(outcome) == wanted


def assert_values(project: Series, end: int, changed: dict[int, int] | None = None) -> None:
    for name, layout in itertools.product(project.names, ("time", "map")):
        np.testing.assert_array_equal(project.open(layout=layout)[name].values, series(name, range(end), changed))
    dry = project.open("dry", "metrics")["dry_days"].fillna(-1).values
    np.testing.assert_array_equal(dry, dry_days(end, changed))


@pytest.mark.parametrize(
    ("passes", "names"),
    often((2, ("pr", "tas")), all_of=itertools.product([1, 2], [("pr",), ("pr", "tas")])),
)
def test_growth_reads_the_past_or_ends_in_another_version(rain, monkeypatch, tmp_path_factory, passes, names):
    if passes == 2:
        two_passes(monkeypatch)
    rain.names = names
    rain.write(range(2 * YEAR - 2), 4 * MONTH)
    rain.build()
    for start, stop in itertools.pairwise([2 * YEAR - 2, 2 * YEAR + 1, 2 * YEAR + 2, 3 * YEAR + 1]):
        before = {name: (rain.root() / name).stat().st_ino for name in rain.objects() if ".zarr/" in name}
        new = rain.write(range(start, stop), 1 if stop - start < MONTH else MONTH)
        outcome = rain.build()
        assert rain.read_files == new
        ended = range(start // YEAR, stop // YEAR)
        assert_made(rain, outcome, range(start, stop), ended)
        assert_values(rain, stop)
        shards = json.loads((rain.root() / "map.zarr/pr/zarr.json").read_bytes())["chunk_grid"]["configuration"]
        for whole in range(start // shards["chunk_shape"][0]):
            name = f"map.zarr/pr/c/{whole}/0/0"
            assert (rain.root() / name).stat().st_ino == before[name], "an earlier map was made again"
        assert not list(rain.folder.glob("cube/inputs/rain/*/tmp/**/*.array"))
    grown = rain.objects(), rain.objects("dry", "metrics")
    rain.store = "./again"
    (rain.folder / "cube").rename(rain.folder / "former")
    rain.store = "./cube"
    rain.build()
    assert (rain.objects(), rain.objects("dry", "metrics")) == grown


SPAN, END = 50, 2 * YEAR + 30
"""Two years and a bit in files of 50 days, some of which lie across segments."""
FILES = {name_of(part): part for start in range(0, END, SPAN) for part in [range(start, min(start + SPAN, END))]}


def reading(days: range, files: dict[str, range]) -> set[str]:
    """Files that give some day of the segments that the days lie in."""
    segments = {day // YEAR for day in days}
    return {name for name, part in files.items() if segments & {day // YEAR for day in part}}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        small_blocks(patch)
        project = Series(tmp_path_factory.mktemp("base"), patch)
        project.write(range(END), SPAN)
        project.build()
    return project


@pytest.fixture
def changing(rain, base):
    for name in ("archive", "cube"):
        linked(base.folder / name, rain.folder / name)
    return rain


@pytest.mark.parametrize(
    ("passes", "days"),
    often(
        (1, range(100, 150)),
        (2, range(350, 400)),
        all_of=itertools.product([1, 2], [range(100, 150), range(350, 400), range(700, 750)]),
    ),
)
def test_changed_file_leaves_a_block_or_touches_another(changing, monkeypatch, days, passes):
    if passes == 2:
        two_passes(monkeypatch)
    changing.write(days, len(days), change=1)
    outcome = changing.build()
    assert changing.read_files == reading(days, FILES)
    assert_made(changing, outcome, days)
    assert_values(changing, END, dict.fromkeys(days, 1))


def test_changed_and_new_files_together_read_or_leave_too_much(changing):
    days = range(100, 150)
    changing.write(days, len(days), change=1)
    new = changing.write(range(END, END + 2), 1)
    before = touched(changing, range(END)), touched(changing, range(END), "map")
    outcome = changing.build()
    assert changing.read_files == reading(days, FILES) | new
    parts = days, range(END, END + 2)
    made = sum(touched(changing, *each) for each in itertools.product(parts, ("time", "map")))
    assert counts(outcome)["rain"] == (made, sum(before) - made)
    assert counts(outcome)["dry"] == (2, 1)
    assert_values(changing, END + 2, dict.fromkeys(days, 1))


@pytest.mark.parametrize("how", ["renamed", "names exchanged", "touched"])
def test_names_and_dates_of_files_make_blocks_again(changing, how):
    first, second = (changing.archive / name for name in list(FILES)[3:5])
    dry = tree(changing.folder / "cube/metrics/dry")
    if how == "renamed":
        first.rename(changing.archive / "z-last.nc")
    elif how == "names exchanged":
        first.rename(changing.archive / "other")
        second.rename(first)
        (changing.archive / "other").rename(second)
    else:
        first.touch()
    version = changing.root().name
    outcome = changing.build()
    assert changing.read_files == set()
    assert "dry" in outcome.current
    assert tree(changing.folder / "cube/metrics/dry") == dry
    if how == "touched":
        assert changing.root().name == version
    else:
        assert_made(changing, outcome, range(0), range(0))
    assert_values(changing, END)


@pytest.mark.parametrize("gaps", [False, True])
def test_removed_file_is_published_as_missing(changing, gaps):
    (changing.archive / list(FILES)[3]).unlink()
    before = tree(changing.folder / "cube")
    changing.more = "    gaps: {max_days: 60}" if gaps else ""
    outcome = changing.build()
    assert outcome.exit_code == (4 if gaps else 3)
    assert {each.code for each in outcome.failed["rain"].problems} == {"retraction" if gaps else "time-gap"}
    assert outcome.waiting == {"dry": "rain"}
    after = tree(changing.folder / "cube")
    assert {name: after[name] for name in before if "state.json" not in name and name != "lock"} == {
        name: data for name, data in before.items() if "state.json" not in name and name != "lock"
    }


@pytest.mark.parametrize(
    ("passes", "days"),
    often(
        (1, range(400, 450)),
        (2, range(300, 360)),
        all_of=itertools.product([1, 2], [range(400, 450), range(300, 360), range(340, 390)]),
    ),
)
def test_file_that_arrives_late_leaves_a_block_or_touches_another(rain, monkeypatch, days, passes):
    """A hole that is filled, also one at the end of a segment: then what is new is not behind what is known."""
    if passes == 2:
        two_passes(monkeypatch)
    rain.more = "    gaps: {max_days: 60}"
    edges = sorted({0, 100, 200, days.start, days.stop, 500, 600, END})
    parts = [range(*edge) for edge in itertools.pairwise(edges)]
    for part in parts:
        if part != days:
            rain.write(part, len(part))
    rain.build()
    assert np.isnan(rain.open()["pr"].values[days.start : days.stop]).all()
    rain.write(days, len(days))
    outcome = rain.build()
    assert rain.read_files == reading(days, {name_of(part): part for part in parts})
    assert_made(rain, outcome, days)
    assert_values(rain, END)


def test_archive_that_begins_earlier_is_shifted(rain):
    """Segments count from the first day: all of them are other ones then."""
    rain.metric = False
    rain.write(range(MONTH, YEAR + MONTH), 4 * MONTH)
    rain.build()
    rain.write(range(MONTH))
    outcome = rain.build()
    days = range(YEAR + MONTH)
    assert counts(outcome) == {"rain": (touched(rain, days) + touched(rain, days, "map"), 0)}
    for layout in ("time", "map"):
        np.testing.assert_array_equal(rain.open(layout=layout)["pr"].values, series("pr", days))
