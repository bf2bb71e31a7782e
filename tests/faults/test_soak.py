"""Hundreds of kills at random moments, on a directory and on an object store: `pytest -m soak tests/faults -s`.

FAULTS_SEED repeats a run, FAULTS_KILLS says how many kills (200).
"""

from __future__ import annotations

import os
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults.checks import Ordeal
from tests.faults.conftest import Range
from tests.faults.harness import KILLED
from tests.faults.life import Life, table
from tests.s3_server import S3Server

KILLS = int(os.environ.get("FAULTS_KILLS", "200"))
ROUNDS = max(1, KILLS // 50)
SEED = os.environ.get("FAULTS_SEED") or secrets.token_hex(4)

pytestmark = pytest.mark.soak


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Say something whether or not outputs are captured."""

    def say(text: str) -> None:
        with capsys.disabled():
            sys.stderr.write(f"\n{text}")

    return say


def test_lives_of_cubes_that_are_killed_again_and_again(
    range_: Range, s3_server: S3Server, tell: Callable[[str], None]
):
    chance = random.Random(SEED)
    deaths: dict[str, Counter[str]] = {"directory": Counter(), "object store": Counter()}
    lives = 0
    while sum(each.total() for each in deaths.values()) < KILLS:
        for where, died in deaths.items():
            life = Life(range_, range_.cube(server=s3_server if where == "object store" else None), chance)
            try:
                life.live()
            except BaseException:
                tell(f"FAULTS_SEED={SEED}, life {lives} ({where}) in {life.cube.folder}")
                raise
            died.update(life.deaths)
            lives += 1
            tell(f"life {lives} ({where}): {life.deaths.total()} kills")
    tell(f"FAULTS_SEED={SEED}, {lives} lives\n{table(deaths)}")


@pytest.mark.parametrize("where", ["a directory", "an object store"])
def test_workers_are_killed_one_by_one_and_all_together(
    range_: Range, s3_server: S3Server, where: str, tell: Callable[[str], None]
):
    chance = random.Random(f"{SEED} {where}")
    counts = Counter[str]()
    for _ in range(ROUNDS):
        cube = range_.cube(server=s3_server if where == "an object store" else None)
        for folders, before, after in ((["base"], [], range_.base), (["base", "more"], [range_.base], range_.grown)):
            cube.declare(folders, workers=2)
            ordeal = Ordeal(cube, before, after, threads=2)
            for how in ("all", "all", "worker"):
                process = cube.start()
                process.reaches(chance.randrange(30, 180))
                if how == "all":
                    process.kill()
                    counts[how] += ordeal.endured(process.ended()).code == KILLED
                else:
                    counts[how] += process.kill_worker()
                    run = ordeal.endured(process.ended())
                    assert run.code == 0, run.said
            ordeal.finish()
    tell(f"FAULTS_SEED={SEED}, workers, {where}: {dict(counts)}")


def test_kill_while_files_are_looked_at_leaves_processes(range_: Range, tell: Callable[[str], None]):
    chance = random.Random(f"{SEED} cold")
    kills = 0
    for _ in range(8):
        cube = range_.cube(("wet",))
        cube.cache = cube.folder / "identities"  # nothing is known of the files yet
        cube.declare(workers=2)
        ordeal = Ordeal(cube, [], range_.base, threads=2)
        process = cube.start()
        time.sleep(chance.uniform(0.5, 6))
        process.kill()
        kills += ordeal.endured(process.ended()).code == KILLED
        ordeal.finish()
    tell(f"FAULTS_SEED={SEED}, cold starts: {kills} kills")
