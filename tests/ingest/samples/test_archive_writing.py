"""Writing the archive: determinism, progress, refusal, provenance, bounded memory."""

from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import replace
from pathlib import Path

import h5py
import netCDF4
import pytest

from cube.errors import RefusedError
from ingest.samples import FAMILIES, SampleSettings, write_sample_archive


def digests(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_same_seed_gives_other_bytes(tiny: Path, tiny_settings: SampleSettings, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    summary = write_sample_archive(tmp_path / "again", tiny_settings, progress=lambda *call: calls.append(call))
    assert digests(tmp_path / "again") == digests(tiny)
    # and what is announced is what is written
    assert summary.files == len(digests(tiny))
    assert summary.bytes == sum(path.stat().st_size for path in tiny.rglob("*") if path.is_file())
    assert [family.family for family in summary.families] == list(FAMILIES)
    for family in summary.families:
        mine = [call for call in calls if call[0] == family.family]
        assert mine == [(family.family, n + 1, family.files) for n in range(family.files)]


def test_other_seed_gives_the_same_values(tiny: Path, tiny_settings: SampleSettings, tmp_path: Path) -> None:
    families = ("isimip2b", "jules", "smap", "statics")
    write_sample_archive(tmp_path / "other", replace(tiny_settings, seed=1, families=families))
    ours, others = digests(tiny), digests(tmp_path / "other")
    assert set(others) < set(ours)
    assert all(ours[name] != digest for name, digest in others.items() if "land_fraction" not in name)
    assert len({name.split("/")[0] for name in others} - {"README.txt"}) == len(families)


def test_provenance_is_missing(tiny: Path) -> None:
    readme = (tiny / "README.txt").read_text()
    assert "SYNTHETIC" in readme
    for path in tiny.rglob("*"):
        if path.suffix in (".nc", ".nc4") and "jules" not in path.parts:
            with netCDF4.Dataset(path) as file:
                assert "synthetic" in file.title
                assert file.source == "climate-impact-cube sample archive"
                assert file.seed == 2021
        elif path.suffix == ".h5":
            with h5py.File(path) as file:
                assert "synthetic" in file["Metadata"].attrs["title"]


def test_files_of_an_earlier_archive_are_mixed_in(tiny: Path, tiny_settings: SampleSettings) -> None:
    before = digests(tiny)
    with pytest.raises(RefusedError) as caught:
        write_sample_archive(tiny, tiny_settings)
    assert caught.value.problems[0].code == "samples-not-empty"
    assert digests(tiny) == before


@pytest.mark.service
@pytest.mark.parametrize("family", ["isimip2b", "jules"])
def test_memory_grows_with_the_period(tiny_settings: SampleSettings, tmp_path: Path, family: str) -> None:
    def peak(name: str, **changes: object) -> int:
        tracemalloc.start()
        write_sample_archive(tmp_path / name, replace(tiny_settings, families=(family,), haduk_years=0, **changes))
        peaked = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peaked

    short = peak("short", observation_years=(2003, 2003), historical_start=2003, scenario_end=2007)
    long = peak("long", observation_years=(2003, 2006), historical_start=1994, scenario_end=2012)
    assert long < 1.2 * short + 200_000
