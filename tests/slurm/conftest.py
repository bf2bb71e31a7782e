"""A Slurm for the session, and cubes whose commands run in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from tests.slurm_lab import SlurmLab, SlurmUnavailableError

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.service)


def _lab(folder: Path, unavailable: Callable[[str], NoReturn], *, accounts: bool) -> Iterator[SlurmLab]:
    lab = SlurmLab(folder, accounts=accounts)
    try:
        try:
            lab.start()
        except SlurmUnavailableError as error:
            unavailable(str(error))
        yield lab
    finally:
        lab.stop()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]) -> Iterator[SlurmLab]:
    """Two nodes of two cores, without accounts."""
    yield from _lab(tmp_path_factory.mktemp("slurm"), unavailable, accounts=False)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]) -> Iterator[SlurmLab]:
    """Two nodes with the accounts and qualities of service of LOTUS2."""
    yield from _lab(tmp_path_factory.mktemp("site"), unavailable, accounts=True)


class SlurmCube:
    """A cube of one product whose blocks take their time, one a year, and its commands."""

    def __init__(self, folder: Path, lab: SlurmLab) -> None:
        self.folder = folder
        self.lab = lab
        self.begun = folder / "begun"
        self.begun.mkdir(exist_ok=True)

    def declare(self, *, cluster: Any = None, memory: str = "600 MiB", store: str = "./cube", **options: Any) -> None:
        """Write the specification; options: those of the job."""
        slurm = {"kind": "slurm", "workers": 2, "interface": "lo", "walltime": "10 min", "patience": "2 min"}
        product = {"job": "slow", "collection": "inputs", "layout": {"segment": "1 years"}, "begun": str(self.begun)}
        spec = {
            "title": "Slow",
            "store": store,
            "memory": memory,
            "cluster": cluster or slurm,
            "products": {"rain": {**product, "days": 3653, **options}},
        }
        (self.folder / "cube.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command, its outputs in one stream."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.slurm.slow", *words, "--spec", str(self.folder / "cube.yaml")],
            cwd=ROOT,
            env={**os.environ, **self.lab.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, code: int = 0, seconds: float = 240) -> str:
        process = self.start(*words)
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            pytest.fail(f"it hangs: {said}")
        assert process.returncode == code, said
        return said

    def blocks_begun(self) -> list[str]:
        """First days of the blocks that workers have begun, as often as they did."""
        return [path.name.partition("-")[0] for path in self.begun.iterdir()]

    def await_begun(self, count: int, seconds: float = 90) -> None:
        self.await_true(lambda: len(self.blocks_begun()) >= count, seconds)

    @staticmethod
    def await_true(true: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it takes too long"
            time.sleep(0.1)


@pytest.fixture
def slow(tmp_path: Path, lab: SlurmLab) -> Iterator[SlurmCube]:
    yield SlurmCube(tmp_path, lab)
    lab.run("scancel", "-u", "root")
    SlurmCube.await_true(lambda: not lab.run("squeue", "-h").strip(), 30)
