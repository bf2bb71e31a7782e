"""Wherever blocks are computed, every object of a version but its ledger has the same bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.conftest import ROOT, SlurmCube
from tests.slurm_lab import SlurmLab

CUBE = [sys.executable, "-m", "batch.command"]
SPEC = """
title: Sample
store: {store}
memory: 700 MiB
cluster: {cluster}
products:
  rainfall:
    job: ingest
    collection: inputs
    source: tamsat
    files: archive/tamsat/v3-native/**/rfe*.nc
    layout: {{segment: 1 years, maps: true}}
  dry-days: {{job: metric, collection: metrics, metric: dry_days, input: rainfall, threshold: 1 mm d-1}}
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample archive's rainfall and a cube of it, `local`, made by this machine's processes."""
    folder = tmp_path_factory.mktemp("sample")
    years = ["--first-year", "2000", "--last-year", "2003"]
    words = [*CUBE, "sample-archive", str(folder / "archive"), *years, "--family", "tamsat-native"]
    subprocess.run(words, check=True, cwd=ROOT, capture_output=True)
    build(folder, "local", "{kind: local, workers: 2}")
    return folder


def build(folder: Path, store: str, cluster: str, environment: dict[str, str] | None = None) -> str:
    spec = folder / f"{store}.yaml"
    spec.write_text(SPEC.format(store=store, cluster=cluster))
    ran = subprocess.run(
        [*CUBE, "build", "--spec", str(spec)],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    return ran.stderr


def objects(folder: Path) -> dict[str, str]:
    """sha256 of every object of the versions but their ledgers, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and len(path.relative_to(folder).parts) > 3 and "/ledger/" not in str(path)
    }


def check_same(sample: Path, store: str) -> None:
    ours = objects(sample / store)
    assert len(ours) > 20
    assert ours == objects(sample / "local")


def test_slurm_gives_other_bytes_than_this_machine(sample: Path, lab: SlurmLab) -> None:
    cluster = "{kind: slurm, workers: 2, interface: lo, walltime: 10 min, scratch: scratch}"
    said = build(sample, "slurm-cube", cluster, lab.environment)
    assert "2 workers in 2 jobs of partition standard" in said
    check_same(sample, "slurm-cube")


def test_two_workers_in_one_job_give_other_bytes(sample: Path, lab: SlurmLab) -> None:
    cluster = "{kind: slurm, workers: 2, workers_per_job: 2, interface: lo, walltime: 10 min}"
    said = build(sample, "shared-job", cluster, lab.environment)
    assert "2 workers in 1 jobs" in said
    check_same(sample, "shared-job")


@contextlib.contextmanager
def running(*words: str) -> Iterator[None]:
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def await_port(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    pytest.fail("the server does not start")


@contextlib.contextmanager
def scheduler(*worker: str) -> Iterator[str]:
    """A Dask scheduler with one worker, both started by dask's own commands."""
    port = free_port()
    address, python = f"tcp://127.0.0.1:{port}", [sys.executable, "-m"]
    with running(
        *python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"
    ):
        await_port(port)
        with running(*python, "distributed.cli.dask_worker", address, "--no-dashboard", *worker):
            yield address


def test_existing_scheduler_gives_other_bytes(sample: Path) -> None:
    with scheduler("--nthreads", "1", "--memory-limit", "1GB") as address:
        build(sample, "address", f"{{kind: address, address: '{address}'}}")
    check_same(sample, "address")


def test_threads_of_an_existing_worker_exceed_memory(tmp_path: Path, lab: SlurmLab) -> None:
    cube = SlurmCube(tmp_path, lab)
    with scheduler("--nthreads", "2", "--memory-limit", "4GB") as address:
        cube.declare(cluster={"kind": "address", "address": address})
        assert "it has 2 threads [worker-unfit]" in cube.run("build", code=8)


def test_small_existing_worker_is_killed_in_mid_block(tmp_path: Path, lab: SlurmLab) -> None:
    cube = SlurmCube(tmp_path, lab)
    with scheduler("--nthreads", "1", "--memory-limit", "500MB") as address:
        time.sleep(3)  # it has registered
        cube.declare(cluster={"kind": "address", "address": address})
        assert "the plan rests on 0.6 GiB [worker-unfit]" in cube.run("build", code=8)


def test_absent_scheduler_hangs_the_build(tmp_path: Path, lab: SlurmLab) -> None:
    cube = SlurmCube(tmp_path, lab)
    cube.declare(cluster={"kind": "address", "address": f"tcp://127.0.0.1:{free_port()}"})
    assert "[scheduler-away]" in cube.run("build", code=8)


def test_gateway_gives_other_bytes(sample: Path, tmp_path: Path) -> None:
    port = free_port()
    proxy, api = free_port(), free_port()
    (tmp_path / "gateway.py").write_text(
        f"""
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
c.DaskGateway.address = "127.0.0.1:{api}"
c.Proxy.address = "127.0.0.1:{port}"
c.Proxy.tcp_address = "127.0.0.1:{proxy}"
c.UnsafeLocalBackend.clusters_directory = {str(tmp_path / "clusters")!r}
c.ClusterConfig.worker_cores = 1
c.ClusterConfig.worker_memory = "1 G"
"""
    )
    program = str(Path(sys.executable).with_name("dask-gateway-server"))
    with running(program, "-f", str(tmp_path / "gateway.py")):
        await_port(port)
        build(sample, "gateway", f"{{kind: gateway, address: 'http://127.0.0.1:{port}', workers: 2}}")
    check_same(sample, "gateway")
