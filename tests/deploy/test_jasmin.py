"""What JASMIN needs: the specification loads and stays within LOTUS2's limits, and the files around it agree."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from batch.command import main
from batch.jobs import JOBS, OPTIONS
from batch.schedule import crontab
from batch.schedule.commands import Installed, installed
from batch.schedule.driver import DRIVER
from batch.spec import Spec, load_spec
from compute.clusters.options import SlurmCluster
from compute.clusters.slurm import NANNY_BYTES
from cube.options import Strict
from cube.stores.s3_public import public_statements

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/jasmin"
PROJECT = Path("/gws/nopw/j04/MYGWS/climate-impact-cube")
"""Where the examples assume the project."""

GCMS = ("gfdl-esm2m", "hadgem2-es", "ipsl-cm5a-lr", "miroc5")
SCENARIOS = ("historical", "rcp26", "rcp60", "rcp85")

# LOTUS2, from JASMIN's documentation: cores, hours and bytes a job.
QOS = {
    "standard": (1, 24, 128e9),
    "short": (1, 4, 200e9),
    "long": (1, 120, 128e9),
    "high": (96, 48, 1000e9),
    "debug": (8, 1, float("inf")),
}
PARTITIONS = {"standard": {"standard", "short", "long", "high"}, "debug": {"debug"}}


@pytest.fixture(scope="module")
def spec() -> Spec:
    jobs: dict[str, type[Strict]] = dict(OPTIONS)
    return load_spec(FOLDER / "cube.yaml", jobs)


@pytest.fixture(scope="module")
def cluster(spec: Spec) -> SlurmCluster:
    assert isinstance(spec.cluster, SlurmCluster)
    return spec.cluster


def test_product_of_the_project_is_missing(spec: Spec) -> None:
    wanted = {
        "tamsat-rainfall",
        "cru-ncep-meteorology",
        "cru-jra-meteorology",
        "haduk-rainfall",
        "haduk-temperature",
        "smap-soil-moisture",
        "tropomi-sif",
        "statics-africa",
        "statics-uk",
        "jules-observed-africa",
        "jules-observed-uk",
        "dry-days-africa-observed",
        "dry-days-uk-observed",
        "rain-africa-observed",
        "temperature-africa-observed",
        "texture-africa",
        "soil-africa",
        "rain-mean-africa-observed",
        "training-africa",
        "emulator-africa",
        "emulated-africa-observed",
        "evaluation-africa-observed",
        "column-africa-observed",
        *(f"column-africa-hadgem2-es-{scenario}" for scenario in ("historical", "rcp26", "rcp85")),
        *(f"rain-mean-africa-{gcm}" for gcm in GCMS),
        *(
            f"{kind}-africa-{gcm}-{scenario}"
            for kind in ("weather", "emulated")
            for gcm in GCMS
            for scenario in SCENARIOS
        ),
    }
    for gcm in GCMS:
        for scenario in SCENARIOS:
            for region in ("africa", "uk"):
                kinds = ("isimip", "jules", "dry-days")
                wanted |= {f"{kind}-{region}-{gcm}-{scenario}" for kind in kinds}
    assert set(spec.products) == wanted
    assert spec.inputs("dry-days-uk-miroc5-rcp26") == ("isimip-uk-miroc5-rcp26",)


def test_job_of_the_future_is_declared_or_not_announced(spec: Spec) -> None:
    text = (FOLDER / "cube.yaml").read_text(encoding="utf-8")
    announced = set(re.findall(r"^# (\w+) {2,}", text[text.index("# ---- LATER") :], flags=re.MULTILINE))
    assert announced == {"change", "metric"}
    assert {each.job for each in spec.products.values()} <= set(JOBS)


def test_request_of_workers_pends_for_ever(spec: Spec, cluster: SlurmCluster) -> None:
    assert cluster.queue
    assert cluster.qos in PARTITIONS[cluster.queue]
    cores, hours, most = QOS[cluster.qos]
    assert cluster.workers_per_job <= cores
    assert cluster.walltime <= hours * 3600
    assert cluster.workers_per_job * (spec.memory + NANNY_BYTES) <= most


def test_run_is_longer_than_its_job_may_be(spec: Spec, cluster: SlurmCluster) -> None:
    assert spec.schedule
    assert set(spec.schedule.entries()) == {"build", "verify", "gc", "watch"}
    for name, entry in spec.schedule.entries().items():
        assert name == "watch" or (entry.limit and entry.limit <= QOS[str(cluster.qos)][1] * 3600)


def test_store_is_no_public_one_of_swarm(spec: Spec) -> None:
    assert spec.storage
    assert spec.storage.policy == "swarm"
    assert re.fullmatch(r"http://TENANCY-o\.s3\.jc\.rl\.ac\.uk", str(spec.storage.endpoint_url))
    bucket = spec.store.removeprefix("s3://")
    assert spec.storage.public_url == f"https://TENANCY-o.s3-ext.jc.rl.ac.uk/{bucket}"
    (statement,) = public_statements("swarm", *spec.store.removeprefix("s3://").split("/"))
    quoted = (FOLDER / "store.sh").read_text(encoding="utf-8")
    assert '"Principal": {"anonymous": ["*"]}, "Action": ["GetObject", "ListBucket"]' in quoted
    assert (statement["Principal"], statement["Action"]) == ({"anonymous": ["*"]}, ["GetObject", "ListBucket"])


def test_data_of_unknown_licence_are_permitted_beforehand(spec: Spec) -> None:
    assert [name for name, each in spec.products.items() if each.permission] == []


def test_path_lies_outside_of_what_nodes_see(spec: Spec) -> None:
    shared = ("/gws/", "/badc/", "/work/scratch-pw4/", "/work/scratch-pw5/")
    paths = [spec.lock, spec.cluster.scratch, getattr(spec.cluster, "logs", None)]
    for each in spec.products.values():
        files: Any = getattr(each.options, "files", ())
        paths += [files] if isinstance(files, str) else list(files)
    assert [path for path in paths if not str(path).startswith(shared)] == []


def test_crontab_differs_from_what_the_command_prints(spec: Spec, cluster: SlurmCluster) -> None:
    given = installed(spec)
    there = Installed(
        given.id,
        PROJECT / ".venv/bin/cube",
        PROJECT / "deploy/jasmin/cube.yaml",
        given.logs,
        given.schedule,
        Path("/home/users/MYUSER/.config/climate-impact-cube/environment"),
    )
    printed = [
        line.replace(str(DRIVER), str(PROJECT / "deploy/slurm/build.sbatch"))
        for line in crontab.jasmin_lines(there, cluster)
    ]
    lines = (FOLDER / "crontab").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == printed


def test_notebooks_ask_for_what_pends_for_ever() -> None:
    import dask_jobqueue

    (value,) = yaml.safe_load((FOLDER / "jobqueue.yaml").read_text(encoding="utf-8"))["jobqueue"].values()
    known = yaml.safe_load((Path(dask_jobqueue.__file__).parent / "jobqueue.yaml").read_text(encoding="utf-8"))
    assert set(value) <= set(known["jobqueue"]["slurm"])
    (qos,) = (word.removeprefix("--qos=") for word in value["job-extra-directives"])
    cores, hours, _ = QOS[qos]
    assert qos in PARTITIONS[value["queue"]]
    assert value["job-cpu"] == value["cores"] <= cores
    assert int(value["walltime"].split(":")[0]) <= hours
    lifetime = value["worker-extra-args"][1]
    assert int(lifetime.removesuffix("h")) < int(value["walltime"].split(":")[0])


def test_bucket_is_made_before_the_specification_is_edited(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", str(FOLDER / "store.sh"), str(FOLDER / "cube.yaml")],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "CUBE_HOME": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "edit it first" in done.stderr) == (2, True)


def test_bucket_is_not_made_or_not_looked_at(tmp_path: Path) -> None:
    cube = tmp_path / "venv/bin/cube"
    cube.parent.mkdir(parents=True)
    cube.write_text('#!/bin/sh\necho "$@"\n')
    cube.chmod(0o755)
    (tmp_path / "cube.yaml").write_text("store: s3://bucket/v1 # TENANCY is no longer needed here\n")
    done = subprocess.run(
        ["sh", str(FOLDER / "store.sh"), "cube.yaml"],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "CUBE_HOME": str(tmp_path / "venv")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["init --spec cube.yaml", "doctor --no-plan --spec cube.yaml"]


def test_environment_file_is_readable_for_others_or_written_over(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "deploy/jasmin").mkdir(parents=True)
    (project / "deploy/environment.sh").write_text('mkdir -p "$1"\n')
    (project / "deploy/jasmin/environment.sh").write_text((FOLDER / "environment.sh").read_text(encoding="utf-8"))
    command = ["sh", "deploy/jasmin/environment.sh", "/gws/nopw/j04/MYGWS/x/.venv"]
    command[-1] = str(tmp_path / "venv")
    environment = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}
    subprocess.run(command, env=environment, cwd=project, capture_output=True, check=True)
    file = tmp_path / "home/.config/climate-impact-cube/environment"
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"CUBE_HOME={tmp_path / 'venv'}" in file.read_text().splitlines()
    file.write_text("CUBE_HOME=mine\n")
    subprocess.run(command, env=environment, cwd=project, capture_output=True, check=True)
    assert file.read_text() == "CUBE_HOME=mine\n"


def test_ops_card_names_a_command_that_does_not_exist_or_is_longer_than_a_page() -> None:
    text = (FOLDER / "OPS.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    for words in map(shlex.split, re.findall(r"`(cube [a-z][^`]*)`", text.replace("\n", " "))):
        known = CliRunner().invoke(main, [words[1], "--help"])
        assert known.exit_code == 0, words
        assert [word for word in words if word.startswith("--") and word not in known.output] == []


def test_ops_card_differs_from_the_schedule(spec: Spec) -> None:
    text = (FOLDER / "OPS.md").read_text(encoding="utf-8")
    assert spec.schedule
    for name, entry in spec.schedule.entries().items():
        minute, hour = entry.cron.split()[:2]
        when = f":{minute}" if hour == "*" else f"{hour}:{int(minute):02d}"
        (line,) = (line for line in text.splitlines() if f"`{name}`" in line and line.startswith("| "))
        assert when in line.split("|")[1], name
