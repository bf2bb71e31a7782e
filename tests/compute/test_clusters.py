"""Workers that others start: an existing scheduler's and a gateway's."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.sample_cube import begin, build, check_same
from tests.slow_cube import ROOT, SlowCube, await_true

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begin(tmp_path_factory.mktemp("sample"))


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


def test_threads_of_an_existing_worker_exceed_memory(tmp_path: Path) -> None:
    cube = SlowCube(tmp_path, {})
    with scheduler("--nthreads", "2", "--memory-limit", "4GB") as address:
        cube.declare({"kind": "address", "address": address})
        assert "it has 2 threads [worker-unfit]" in cube.run("build", code=8)


def test_small_existing_worker_is_killed_in_mid_block(tmp_path: Path) -> None:
    cube = SlowCube(tmp_path, {})
    with scheduler("--nthreads", "1", "--memory-limit", "500MB") as address:
        time.sleep(3)  # it has registered
        cube.declare({"kind": "address", "address": address})
        assert "the plan rests on 0.6 GiB [worker-unfit]" in cube.run("build", code=8)


def test_absent_scheduler_hangs_the_build(tmp_path: Path) -> None:
    cube = SlowCube(tmp_path, {})
    cube.declare({"kind": "address", "address": f"tcp://127.0.0.1:{free_port()}"})
    assert "[scheduler-away]" in cube.run("build", code=8)


def test_gateway_gives_other_bytes(sample: Path, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "gateway.py").write_text(
        f"""
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
c.DaskGateway.address = "127.0.0.1:{free_port()}"
c.Proxy.address = "127.0.0.1:{port}"
c.UnsafeLocalBackend.clusters_directory = {str(tmp_path / "clusters")!r}
c.ClusterConfig.scheduler_cmd = [{sys.executable!r}, "-m", "distributed.cli.dask_scheduler"]
c.ClusterConfig.worker_cmd = [{sys.executable!r}, "-m", "distributed.cli.dask_worker"]
c.ClusterConfig.worker_cores = 1
c.ClusterConfig.worker_memory = "1 G"
"""
    )
    program = str(Path(sys.executable).with_name("dask-gateway-server"))
    with running(program, "-f", str(tmp_path / "gateway.py")):
        await_port(port)
        build(sample, "gateway", f"{{kind: gateway, address: 'http://127.0.0.1:{port}', workers: 2}}")
    check_same(sample, "gateway")


def test_memory_is_taken_for_walltime_where_the_scheduler_tries_again_itself(tmp_path: Path) -> None:
    cube = SlowCube(tmp_path, {})
    with scheduler("--nthreads", "1", "--memory-limit", "700MB") as address:
        cube.declare({"kind": "address", "address": address}, hard=800, hard_bytes=1100 * 2**20)
        said = cube.run("build", code=8)
    assert "3 workers died while computing it, 3 of them because of their memory" in said


def test_preempted_worker_of_an_existing_scheduler_counts(tmp_path: Path) -> None:
    """Workers and their nannies are killed again and again, as machines that are taken away."""
    cube = SlowCube(tmp_path, {})
    port = free_port()
    address, python = f"tcp://127.0.0.1:{port}", [sys.executable, "-m"]
    words = (*python, "distributed.cli.dask_worker", address, "--no-dashboard", "--nthreads", "1")
    with running(
        *python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"
    ):
        await_port(port)
        cube.declare({"kind": "address", "address": address, "patience": "1 min"}, hard=0, hard_seconds=6.0)
        build = cube.start("build")
        for attempt in range(1, 6):
            worker = subprocess.Popen(
                words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            try:
                await_true(lambda attempt=attempt: cube.blocks_begun().count("0") >= attempt, 60)
                if attempt == 5:
                    said, _ = build.communicate(timeout=120)
            finally:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
    assert build.returncode == 0, said
    cube.assert_published()


def test_report_of_an_existing_scheduler_breaks_the_build(tmp_path: Path) -> None:
    cube = SlowCube(tmp_path, {})
    with scheduler("--nthreads", "1", "--memory-limit", "1GB") as address:
        cube.declare({"kind": "address", "address": address})
        cube.run("build", "--report")
    (page,) = (cube.folder / "cube/runs").glob("*-report.html")
    assert "Bokeh" in page.read_text() or "bokeh" in page.read_text()


def test_scheduler_that_dies_hangs_the_build_or_blames_a_block(tmp_path: Path) -> None:
    cube = SlowCube(tmp_path, {})
    with scheduler("--nthreads", "1", "--memory-limit", "1GB") as address:
        cube.declare({"kind": "address", "address": address, "patience": "20 s"}, seconds=3.0)
        build = cube.start("build")
        cube.await_begun(2)
    said, _ = build.communicate(timeout=120)
    assert build.returncode == 8, said
    assert "[scheduler-lost]" in said or "[no-workers]" in said
    assert "[block-failed]" not in said
    assert (cube.folder / "cube/lock").read_text().strip() == "{}"


def test_patience_counts_again_for_every_product(tmp_path: Path) -> None:
    cube = SlowCube(tmp_path, {})
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    with running(sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)):
        await_port(port)
        cube.declare({"kind": "address", "address": address, "patience": "15 s"})
        path = cube.folder / "cube.yaml"
        spec = yaml.safe_load(path.read_text())
        for name in ("wind", "snow"):
            spec["products"][name] = dict(spec["products"]["rain"])
        path.write_text(yaml.safe_dump(spec, sort_keys=False))
        said = cube.run("build", code=8)
    assert said.count("no workers yet") == 1
    assert {name for name in ("rain", "wind", "snow") if f"{name}: nothing of it is published" in said} == {
        "rain",
        "wind",
        "snow",
    }
