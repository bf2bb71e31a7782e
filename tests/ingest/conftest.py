"""Every test of ingest has a cache of file identities and a scratch folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CUBE_CACHE", str(folder / "identities"))
    monkeypatch.setenv("CUBE_SCRATCH", str(folder / "scratch"))
    return folder
