"""An evaluation through the engine: published maps, summary and report, on two ways of cutting and twice."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch import jobs
from batch.build import Outcome, build
from batch.reporting import Reporter
from batch.spec import load_spec
from compute.evaluation.job import EvaluateJob
from cube import layout
from cube.catalogue import Cube
from cube.stores import open_store
from cube.verify import verify
from cube.versions import ProductPath

from .products import CELLS, COLUMN, EMULATOR, Held, Product, days, evaluate, maps, water
from .test_report import SENTENCE, Page

SPEC = """
title: Evaluation
store: ./cube
memory: 1 GiB
cluster: {kind: local, workers: 0}
products:
  column: {job: held, collection: inputs, key: column}
  emulated: {job: held, collection: inputs, key: emulated}
  buckets: {job: held, collection: inputs, key: buckets}
  soil: {job: held, collection: inputs, key: soil}
  scores:
    job: evaluate
    collection: evaluation
    simulation: emulated
    reference: column
    baselines: [buckets]
    soil: soil
    period: {start: 2002}
"""


class Chain:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def build(self) -> Outcome:
        (self.folder / "cube.yaml").write_text(SPEC)
        spec = load_spec(self.folder / "cube.yaml", jobs.OPTIONS)
        return build(spec, spec.order(), Reporter(quiet=True))

    @property
    def item(self) -> dict[str, Any]:
        return json.loads((self.folder / "cube/evaluation/scores/scores.json").read_text())

    @property
    def report(self) -> bytes:
        return (self.folder / "cube/evaluation/scores" / self.item["assets"]["report"]["href"]).read_bytes()

    def objects(self) -> dict[str, str]:
        version = self.folder / "cube/evaluation/scores" / self.item["properties"]["version"]
        found = (each for each in version.rglob("*") if each.is_file() and "ledger" not in each.parts)
        return {str(each.relative_to(version)): hashlib.sha256(each.read_bytes()).hexdigest() for each in found}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A cube that is built once, with maps in several blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(layout, "READ_BYTES", 4 * 15 * 1200 * 8)  # eight cells at most in a block
        for job in (Held, EvaluateJob):
            patch.setitem(jobs.JOBS, job.name, job)
            patch.setitem(jobs.OPTIONS, job.name, job.Options)
        axis = days("2001-01-01", 1200)
        buckets = {**EMULATOR, "predictor": "buckets"}
        for key, noise, attrs in (("column", 0.0, COLUMN), ("emulated", 0.004, EMULATOR), ("buckets", 0.02, buckets)):
            values = water(1200, 1, noise)
            for each in values.values():
                each[:, :, 0, 0] = np.nan
            patch.setitem(Held.given, key, Product(key, values, axis, attrs=attrs))
        patch.setitem(Held.given, "soil", Product("soil", {"sm_sat": np.full(CELLS, 0.45, "f4")}))
        made = Chain(tmp_path_factory.mktemp("cube"))
        assert not made.build().failed
        yield made


def test_what_is_published_is_not_what_the_maps_say(chain: Chain) -> None:
    found = Cube(chain.folder / "cube")["scores"]
    given = [Held.given[name] for name in ("emulated", "column", "buckets", "soil")]
    job = evaluate(*given, baselines=["buckets"], soil="soil", period={"start": "2002"})
    whole = maps(job, *given)
    for name, values in whole.data_vars.items():
        np.testing.assert_array_equal(found[name].values, values.values, err_msg=str(name))
    assert len([each for each in chain.objects() if each.startswith("time.zarr/rmse/c/")]) > 1
    seen = whole["paired_days"].values[0, 0] > 0
    assert seen.sum() == 11
    median = np.median(whole["rmse"].values[0, 0][seen])
    assert float(found["rmse_quantiles"].sel(quantile=0.5)[0, 0]) == pytest.approx(median, rel=1e-6)
    assert (found["rmse_cells"] == 11).all()
    assert found["beaten"].values[1:].tolist() == [[1.0] * 5] * 3
    assert found["predictor"].attrs["flag_meanings"].split() == ["simulation", "climatology", "persistence", "buckets"]
    assert SENTENCE in Page(chain.report).text[:200]


def test_report_is_no_asset_or_damage_goes_unseen(chain: Chain, tmp_path: Path) -> None:
    asset = chain.item["assets"]["report"]
    assert (asset["type"], asset["roles"], asset["file:size"]) == ("text/html", ["overview"], len(chain.report))
    assert asset["href"] == f"./{chain.item['properties']['version']}/report.html"
    assert SENTENCE in json.dumps(chain.item)
    copy = tmp_path / "cube"
    shutil.copytree(chain.folder / "cube", copy)
    report = copy / "evaluation/scores" / asset["href"]
    report.write_bytes(report.read_bytes().replace(b"verification", b"falsification"))
    found = verify(open_store(str(copy)), ProductPath("evaluation", "scores"), deep=True)
    assert found is not None
    assert {problem.where.rpartition("/")[2] for problem in found.problems} == {"report.html"}


def test_second_build_differs_or_a_change_leaves_the_report(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Chain(tmp_path)
    assert not other.build().failed
    assert other.objects() == chain.objects()
    values = {name: each.copy() for name, each in Held.given["emulated"].values.items()}
    values["fsmc"][700, 0, 2, 3] += 0.1
    axis = Held.given["emulated"].template.time
    monkeypatch.setitem(Held.given, "emulated", Product("emulated", values, axis, attrs=EMULATOR))
    assert not other.build().failed
    assert other.report != chain.report
