"""The real sample files as one cube: `examples/real-samples/cube.yaml`, built once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from .published import ROOT, Published, built_once

SPEC = ROOT / "examples" / "real-samples" / "cube.yaml"


def real_cube(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """The committed specification with places of this machine, and without a cluster."""

    def prepare(folder: Path) -> None:
        text = SPEC.read_text()
        for written, here in (
            ("store: ../../demo/real-samples\n", "store: ./cube\n"),
            ("cluster: local\n", "cluster: {kind: local, workers: 0}\n"),
            ("../../../shared/", f"{shared}/"),
        ):
            assert written in text
            text = text.replace(written, here)
        (folder / "cube.yaml").write_text(text)

    return built_once(tmp_path_factory, "real-samples", prepare)
