"""How many workers a machine gets that nobody asked for."""

from __future__ import annotations

import pytest

from compute.clusters import settings

GIB = 2**30


@pytest.mark.parametrize(
    ("cores", "machine", "memory", "workers"),
    [(8, 64 * GIB, 4 * GIB, 8), (8, 15 * GIB, 4 * GIB, 3), (2, GIB, 4 * GIB, 1)],
    ids=["cores", "memory", "less than one"],
)
def test_default_workers_exceed_the_machine(
    monkeypatch: pytest.MonkeyPatch, cores: int, machine: int, memory: int, workers: int
) -> None:
    monkeypatch.setattr(settings, "cores", lambda: cores)
    monkeypatch.setattr(settings, "machine_memory", lambda: machine)
    assert settings.default_workers(memory) == workers
