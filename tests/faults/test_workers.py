"""A build with worker processes: one of them is killed, then all."""

from __future__ import annotations

import pytest

from tests.faults.checks import Ordeal
from tests.faults.conftest import Range


@pytest.mark.service
def test_killed_worker_ends_the_build_or_outlives_it(range_: Range):
    cube = range_.cube(("wet",))
    cube.declare(workers=2)
    ordeal = Ordeal(cube, [], range_.base, threads=2)
    process = cube.start()
    assert process.reaches(80), process.ended().said
    assert process.kill_worker()
    run = ordeal.endured(process.ended())
    assert run.code == 0, run.said
    ordeal.assert_finished()
