"""Workers of this machine die; who is to blame is found out, and the build ends with the right words."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.slow_cube import BLOCKS, SlowCube, await_true

pytestmark = pytest.mark.service

LOCAL = {"kind": "local", "workers": 2}


@pytest.fixture
def slow(tmp_path: Path) -> SlowCube:
    return SlowCube(tmp_path, {})


def test_block_that_exceeds_memory_is_tried_for_ever(slow: SlowCube) -> None:
    # The last block: whatever else there is was begun before it, however slowly workers start.
    slow.declare(LOCAL, hard=3500, hard_bytes=900 * 2**20)
    said = slow.run("build", code=8)
    assert "time/pr/9.0.0: 3 workers died while computing it, 3 of them because of their memory" in said
    assert "[worker-killed]" in said
    assert slow.blocks_begun().count("3294") in (3, 4)  # the last may have begun while it was decided
    assert len(slow.marks()) == BLOCKS - 1, "blocks that are not to blame are not finished"
    slow.declare(LOCAL)
    assert f"(1 blocks computed, {BLOCKS - 1} taken over" in slow.run("build")
    slow.assert_published()


def test_block_that_ends_its_process_is_taken_for_preempted(slow: SlowCube) -> None:
    slow.declare(LOCAL, hard=800, ends=True)
    said = slow.run("build", code=8)
    assert "time/pr/2.0.0: 3 workers died while computing it, their processes ended by themselves" in said


def test_killed_worker_loses_more_than_it_had_in_hand(slow: SlowCube) -> None:
    slow.declare(LOCAL, seconds=1.0)
    build = slow.start("build")
    slow.await_begun(3)
    last = max(slow.begun.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    os.kill(int(last.name.split("-")[1]), signal.SIGKILL)
    said, _ = build.communicate(timeout=120)
    assert build.returncode == 0, said
    # The block that it was at, and one whose receipt may not have arrived yet.
    assert len(slow.blocks_begun()) <= BLOCKS + 2
    slow.assert_published()


def test_ended_build_keeps_the_lock_or_its_workers(slow: SlowCube) -> None:
    slow.declare(LOCAL, seconds=3.0)
    build = slow.start("build")
    slow.await_begun(2)
    workers = {int(path.name.split("-")[1]) for path in slow.begun.iterdir()}
    build.terminate()
    said, _ = build.communicate(timeout=60)
    assert build.returncode == 128 + signal.SIGTERM, said
    assert (slow.folder / "cube/lock").read_text().strip() == "{}"

    def gone() -> bool:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, 0)
                return False
        return True

    await_true(gone, 20)


def test_interrupted_build_buries_its_last_words_in_tracebacks(slow: SlowCube) -> None:
    slow.declare(LOCAL, seconds=3.0)
    build = slow.start("build")
    slow.await_begun(2)
    os.killpg(build.pid, signal.SIGINT)  # as a terminal does
    said, _ = build.communicate(timeout=60)
    assert build.returncode == 1
    assert "Traceback" not in said
    assert (slow.folder / "cube/lock").read_text().strip() == "{}"
