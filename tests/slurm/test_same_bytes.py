"""What workers in jobs publish, every object but the ledger's, has the bytes that workers of this machine give it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sample_cube import begin, build, check_same
from tests.slurm_lab import SlurmLab


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begin(tmp_path_factory.mktemp("sample"))


def test_slurm_gives_other_bytes_than_this_machine(sample: Path, lab: SlurmLab) -> None:
    cluster = "{kind: slurm, workers: 2, interface: lo, walltime: 10 min, scratch: scratch}"
    said = build(sample, "slurm-cube", cluster, lab.environment)
    assert "up to 2 workers in 2 jobs of partition standard" in said
    check_same(sample, "slurm-cube")


def test_two_workers_in_one_job_give_other_bytes(sample: Path, lab: SlurmLab) -> None:
    cluster = "{kind: slurm, workers: 2, workers_per_job: 2, interface: lo, walltime: 10 min}"
    said = build(sample, "shared-job", cluster, lab.environment)
    assert "up to 2 workers in 1 jobs" in said
    check_same(sample, "shared-job")
