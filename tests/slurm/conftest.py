"""Two Slurms for the session, started when a test needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.slow_cube import SlowCube, await_true
from tests.slurm_lab import SlurmLab, SlurmUnavailableError

WORKERS = {"kind": "slurm", "workers": 2, "interface": "lo", "walltime": "10 min", "patience": "2 min"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("soak") is None:
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


@pytest.fixture
def slow(tmp_path: Path, lab: SlurmLab) -> Iterator[SlowCube]:
    """A cube whose commands speak to the Slurm without accounts; its jobs end with the test."""
    yield SlowCube(tmp_path, lab.environment)
    lab.run("scancel", "-u", "root")
    # A job of a node that was killed is only given up when the node is back and has been asked about it.
    await_true(lambda: not lab.run("squeue", "-h", "-t", "PENDING,RUNNING").strip(), 60)
    lab.await_idle(150)
