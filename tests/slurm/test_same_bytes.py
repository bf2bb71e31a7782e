"""What workers in jobs publish, every object but the ledger's, has the bytes that workers of this machine give it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.s3_server import S3Server
from tests.sample_cube import begin, build, check_same, objects
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


def test_jobs_do_not_get_the_credentials_of_an_object_store(
    sample: Path, lab: SlurmLab, s3_server: S3Server, s3_url: str
) -> None:
    cluster = "{kind: slurm, workers: 2, interface: lo, walltime: 10 min}"
    more = f"storage: {{endpoint_url: '{s3_server.endpoint_url}'}}\n"
    build(sample, "object-store", cluster, lab.environment, address=s3_url, more=more)
    client, prefix = s3_server.client(), s3_url.partition(f"{s3_server.bucket}/")[2]
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=s3_server.bucket, Prefix=f"{prefix}/"):
        for each in page["Contents"]:
            body = client.get_object(Bucket=s3_server.bucket, Key=each["Key"])["Body"].read()
            found[each["Key"].removeprefix(f"{prefix}/")] = hashlib.sha256(body).hexdigest()
    local = objects(sample / "local")
    assert len(local) > 20
    assert {name: found.get(name) for name in local} == local
    secret = s3_server.environment["AWS_SECRET_ACCESS_KEY"]
    told = [path.read_text(errors="replace") for path in sample.rglob("*") if path.suffix in (".out", ".err", ".yaml")]
    assert not [text for text in told if secret in text]
