"""The emulator's chain on a Slurm, from weather to emulation: every object as this machine makes it."""

from __future__ import annotations

from pathlib import Path

from tests.compute import chain
from tests.sample_cube import objects, run
from tests.slurm_lab import SlurmLab


def test_chain_on_slurm_gives_other_bytes(tmp_path: Path, lab: SlurmLab) -> None:
    folder = chain.archive(tmp_path)
    for name, cluster in (
        ("local", "{kind: local, workers: 2}"),
        ("slurm", "{kind: slurm, workers: 2, interface: lo, walltime: 20 min, scratch: scratch}"),
    ):
        head = chain.HEAD.replace("./cube", f"./{name}").replace("{kind: local, workers: 0}", cluster)
        text = f"{head}products:{chain.CHAIN}"
        (folder / f"{name}.yaml").write_text(text)
        run(folder / f"{name}.yaml", lab.environment if name == "slurm" else None)
    local = objects(folder / "local")
    assert len(local) > 60
    assert objects(folder / "slurm") == local
