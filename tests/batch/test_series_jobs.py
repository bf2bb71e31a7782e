"""Jobs whose blocks follow each other in time, and products with files, through the engine: a running sum of the toy's
rain, and its total as a text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray as xr

from batch import jobs
from batch.build import Outcome, build
from batch.reporting import Reporter
from batch.spec import load_spec
from cube.blockjob import BlockJob
from cube.catalogue import Cube
from cube.errors import ComputeError, IntegrityError
from cube.job import ProductView, Window
from cube.options import Strict
from cube.reading import VersionRef
from cube.seriesjob import SeriesJob
from cube.stage import Stage
from cube.template import ArraySpec, FileSpec, Template
from cube.verify import verify
from cube.versions import ProductPath
from tests.batch.toy import CELLS, Toy, ToyOptions, expected

SPEC = """
title: Series
store: ./cube
memory: 1 GiB
cluster: {{kind: local, workers: 0}}
products:
  rain: {{job: toy, collection: inputs, days: {days}, changed: {changed}, layout: {{segment: 1 years}}}}
  sums: {{job: sums, collection: made, input: rain, layout: {{segment: {segment} years}}}}
  total: {{job: total, collection: made, input: sums, name: {name}}}
"""


class InputOptions(Strict):
    product_fields: ClassVar[tuple[str, ...]] = ("input",)

    input: str
    name: str = "total.txt"


class Sums(SeriesJob):
    """Starts from the mean of the first ten days, so that what the start reads is tried too."""

    name = "sums"
    revision = 1
    Options = InputOptions
    computed: ClassVar[list[tuple[int, int]]] = []

    @property
    def view(self) -> ProductView:
        return self.inputs[self.options.input]

    def template(self) -> Template:
        rain = self.view.template
        spec = ArraySpec(rain.arrays["pr"].dims, rain.arrays["pr"].shape, np.dtype("f8"), {"units": "mm"})
        arrays = {"sum": spec}
        return Template(
            arrays, rain.coords, rain.time, rain.space, (("sum",),), bbox=rain.bbox, state=("sum", "days so far")
        )

    def key_options(self):
        return {}

    def reads(self, group, slices):
        return {self.options.input: Window(("pr",), {name: slices[name] for name in ("time", "lat", "lon")})}

    def starts_from(self, cells):
        return {self.options.input: Window(("pr",), {**cells, "time": slice(0, 10)})}

    def start(self, cells, data):
        mean = data[self.options.input]["pr"].values.astype("f8").mean(axis=0)
        return np.stack([mean, np.zeros_like(mean)])

    def go_on(self, group, slices, data, state):
        Sums.computed.append((slices["time"].start, slices["lat"].start))
        pr = data[self.options.input]["pr"].values.astype("f8")
        found = np.add.accumulate(np.concatenate([state[:1], pr]), axis=0)[1:]
        return xr.Dataset({"sum": (("time", "lat", "lon"), found)}), np.stack([found[-1], state[1] + len(pr)])


class Total(BlockJob):
    """The last sum, as a number and as a file."""

    name = "total"
    revision = 1
    Options = InputOptions

    def template(self) -> Template:
        arrays = {"total": ArraySpec((), (), np.dtype("f8"))}
        files = {"total.txt": FileSpec("total", "text/plain", "The total as a text", ("data",))}
        return Template(arrays, xr.Dataset(), None, (), (("total",),), files=files)

    def key_options(self):
        return {"name": self.options.name}

    def reads(self, group, slices):
        count = self.inputs[self.options.input].template.time.count
        return {self.options.input: Window(("sum",), {"time": slice(count - 1, count)})}

    def compute(self, group, slices, data):
        total = float(data[self.options.input]["sum"].sum())
        return xr.Dataset({"total": ((), np.array(total))}, attrs={self.options.name: f"{total:.3f}".encode()})


class Series:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def spec(self, days: int = 1000, changed: tuple[int, ...] = (), segment: int = 1, name: str = "total.txt") -> Any:
        text = SPEC.format(days=days, changed=list(changed), segment=segment, name=name)
        (self.folder / "cube.yaml").write_text(text)
        return load_spec(self.folder / "cube.yaml", jobs.OPTIONS)

    def build(self, **options: Any) -> Outcome:
        Sums.computed.clear()
        spec = self.spec(**options)
        return build(spec, spec.order(), Reporter(quiet=True))

    def sums(self) -> xr.Dataset:
        return Cube(self.folder / "cube")["sums"]

    def objects(self) -> dict[str, str]:
        item = json.loads((self.folder / "cube/made/sums/sums.json").read_text())
        manifest = self.folder / "cube/made/sums" / item["properties"]["version"] / "manifest.json"
        return {name: each["sha256"] for name, each in json.loads(manifest.read_text())["objects"].items()}


@pytest.fixture
def series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Series]:
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    for name, job, options in (("toy", Toy, ToyOptions), ("sums", Sums, InputOptions), ("total", Total, InputOptions)):
        monkeypatch.setitem(jobs.JOBS, name, job)
        monkeypatch.setitem(jobs.OPTIONS, name, options)
    return Series(tmp_path)


def plain(days: int, changed: tuple[int, ...] = ()) -> np.ndarray[Any, Any]:
    rain = expected(ToyOptions(days=days, changed=changed)).astype("f8")
    return rain[:10].mean(axis=0) + np.cumsum(rain, axis=0)


@pytest.mark.parametrize("segment", [1, 2, 5])
def test_the_cut_into_segments_shows_in_the_values(series: Series, segment: int) -> None:
    assert not series.build(segment=segment).failed
    np.testing.assert_allclose(series.sums()["sum"], plain(1000), rtol=1e-12)
    states = series.sums()["state"]
    assert states.attrs["state_numbers"] == "sum days so far"
    np.testing.assert_array_equal(states[-1, 0], series.sums()["sum"][-1])
    assert (states[-1, 1] == 1000).all()
    assert str(series.sums()["segment"].values[-1])[:10] == "1972-09-27"  # the day after day 999 from 1 January 1970


def test_growth_computes_again_what_lies_before_the_last_segment(series: Series) -> None:
    assert not series.build(days=1000).failed
    assert not series.build(days=1200).failed
    assert sorted({first for first, _ in Sums.computed}) == [732, 1098]
    np.testing.assert_allclose(series.sums()["sum"], plain(1200), rtol=1e-12)


def test_a_day_that_changed_is_missed_by_later_segments(series: Series) -> None:
    assert not series.build().failed
    assert not series.build(changed=(400,)).failed
    assert sorted({first for first, _ in Sums.computed}) == [366, 732]
    np.testing.assert_allclose(series.sums()["sum"], plain(1000, (400,)), rtol=1e-12)


def test_a_start_that_changed_is_missed_by_later_segments(series: Series) -> None:
    assert not series.build().failed
    assert not series.build(changed=(5,)).failed
    assert sorted({first for first, _ in Sums.computed}) == [0, 366, 732]
    np.testing.assert_allclose(series.sums()["sum"], plain(1000, (5,)), rtol=1e-12)


def test_kill_between_segments_computes_them_again_or_differs(
    series: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    marked = Stage.mark

    def mark(stage: Stage, receipt: Any) -> None:
        marked(stage, receipt)
        if "sums" in stage.prefix and receipt.block.endswith("1.0.0"):
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Stage, "mark", mark)
        with pytest.raises(Killed):
            series.build()
    assert not series.build().failed
    assert [first for first, _ in Sums.computed] == [732]
    resumed = series.objects()
    other = Series(tmp_path / "other")
    other.folder.mkdir()
    assert not other.build().failed
    assert resumed == other.objects()


def test_a_state_that_is_taken_over_damaged_is_gone_on_from(series: Series) -> None:
    assert not series.build().failed
    item = json.loads((series.folder / "cube/made/sums/sums.json").read_text())
    version = series.folder / "cube/made/sums" / item["properties"]["version"]
    state = next((version / "time.zarr/state/c").glob("1/*/*/*"))
    data = bytearray(state.read_bytes())
    data[10] ^= 1
    state.write_bytes(bytes(data))
    failed = series.build(days=1200).failed
    assert isinstance(failed["sums"], IntegrityError)
    assert failed["sums"].problems[0].code == "object-changed"


def test_a_file_is_published_without_checksum_or_asset(series: Series) -> None:
    assert not series.build().failed
    store = series.spec()
    path = ProductPath("made", "total")
    item = json.loads((series.folder / "cube/made/total/total.json").read_text())
    asset = item["assets"]["total"]
    text = (series.folder / "cube/made/total" / asset["href"]).read_bytes()
    assert text == f"{plain(1000)[-1].sum():.3f}".encode()
    assert (asset["type"], asset["roles"], asset["file:size"]) == ("text/plain", ["data"], len(text))
    (series.folder / "cube/made/total" / asset["href"]).write_bytes(b"1" * len(text))
    from cube.stores import open_store

    found = verify(open_store(store.store_location), path, deep=True)
    assert found is not None
    assert [problem.code for problem in found.problems] == ["object-changed"]


def test_a_file_that_was_not_declared_is_published(series: Series) -> None:
    failed = series.build(name="other.txt").failed["total"]
    assert isinstance(failed, ComputeError)
    assert failed.problems[0].code == "block-misfit"


def test_state_of_another_product_is_read_from_the_wrong_segment(series: Series) -> None:
    assert not series.build().failed
    cube = series.folder / "cube"
    item = json.loads((cube / "made/sums/sums.json").read_text())
    from cube.stores import open_store

    ref = VersionRef(open_store(str(cube)), f"made/sums/{item['properties']['version']}")
    window = {"segment": slice(1, 2), "lat": slice(2, 4), "lon": slice(0, CELLS[1])}
    found = ref.read(["state"], window)["state"].values
    np.testing.assert_allclose(found[0, 0], plain(1000)[731, 2:4], rtol=1e-12)
