"""`cube doctor` starts one worker on the cluster and looks from there."""

from __future__ import annotations

import json
from pathlib import Path

from tests.slow_cube import SlowCube
from tests.slurm.conftest import WORKERS
from tests.slurm_lab import SlurmLab


def checks(said: str) -> dict[str, dict[str, str]]:
    found = json.loads(said[said.index("{") : said.rindex("}") + 1])
    return {each["name"]: each for each in found["checks"]}


def test_sound_cluster_is_not_tried(slow: SlowCube, lab: SlurmLab) -> None:
    (slow.folder / "fast").mkdir()
    slow.declare({**WORKERS, "scratch": "fast"})
    slow.run("init")
    found = checks(slow.run("doctor", "--json"))
    results = {name: each["result"] for name, each in found.items() if name.startswith("cluster")}
    assert results == dict.fromkeys(
        [
            "cluster: request",
            "cluster: one worker",
            "cluster: packages there",
            "cluster: store there",
            "cluster: scratch there",
        ],
        "ok",
    )
    assert not lab.jobs()
    assert not list((slow.folder / "cube").rglob("doctor*"))
    assert not (slow.folder / "slurm").exists()


def test_folder_that_nodes_do_not_see_is_found_by_the_build(slow: SlowCube, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    # The job moves the folder away before its worker starts, as a node that has not mounted it.
    slow.declare({**WORKERS, "scratch": str(hidden), "prologue": [f"mv {hidden} {hidden}.away"]})
    slow.run("init")
    found = checks(slow.run("doctor", "--json", code=8))
    assert found["cluster: scratch there"]["result"] == "problem"
    assert f"there is no {hidden}" in found["cluster: scratch there"]["found"]
    assert found["cluster: store there"]["result"] == "ok"


def test_refused_request_hides_the_other_checks(slow: SlowCube) -> None:
    slow.declare({**WORKERS, "queue": "nosuch"})
    slow.run("init")
    found = checks(slow.run("doctor", "--json", code=4))
    assert "[slurm-queue]" in found["cluster: request"]["found"]
    assert found["cluster: one worker"]["result"] == "not tried"
    assert found["cluster: store there"]["result"] == "not tried"
    assert found["space for the plan"]["result"] == "ok"
