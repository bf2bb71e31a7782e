"""A sound cube, every kind of object in it, and the ways in which one can be damaged."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

import ingest.references
from batch.command import main
from cube.versions import ProductPath
from tests.batch.series import MONTH, YEAR, Series, dry_days, linked, name_of, series, small_blocks

DAYS = range(2 * YEAR + MONTH)
"""Two segments and a month: shards of equal size, since the values cannot be compressed."""
SPAN = 4 * MONTH
"""Days of one archive file."""
ALL_BLOCKS = 3 * 2 + 5
"""Of series, two to a segment, and of maps."""
RAIN = ProductPath("inputs", "rain")
FIRST_YEAR = {name_of(range(day, day + SPAN)) for day in range(0, YEAR, SPAN)}
"""Its files."""


@dataclass(frozen=True)
class Kind:
    """key: of the object in the cube; other: the content of a sound object of its kind."""

    key: str
    other: bytes


@dataclass(frozen=True)
class Sound:
    """A cube that nobody changes, of one version a product, and the archive that it is made from."""

    folder: Path
    root: str
    dry: str
    kinds: Mapping[str, Kind]

    @classmethod
    def made(cls, folder: Path) -> Sound:
        with pytest.MonkeyPatch.context() as patch:
            project = cls._series(folder, patch)
            project.write(DAYS[:SPAN], SPAN)
            project.build()
            early = project.objects()
            shutil.rmtree(folder / "cube")
            project.write(DAYS[SPAN:], SPAN)
            project.build()
            root, dry = (project.root(*names).relative_to(folder / "cube") for names in ((), ("dry", "metrics")))
        others = {
            "shard": (f"{root}/time.zarr/pr/c/0/1/0", f"{root}/time.zarr/pr/c/1/1/0"),
            "last shard": (f"{root}/time.zarr/pr/c/2/1/0", f"{root}/time.zarr/pr/c/2/0/0"),
            "shard of maps": (f"{root}/map.zarr/pr/c/1/0/0", f"{root}/map.zarr/pr/c/2/0/0"),
            "group": (f"{root}/time.zarr/zarr.json", f"{root}/map.zarr/zarr.json"),
            "array": (f"{root}/time.zarr/pr/zarr.json", f"{root}/time.zarr/lat/zarr.json"),
            "latitudes": (f"{root}/time.zarr/lat/c/0", f"{root}/time.zarr/lon/c/0"),
            "dates": (f"{root}/time.zarr/time/c/0", _later(folder / "cube" / root, folder / "later")),
            "references": (f"{root}/references.json", early["references.json"]),
            "manifest": (f"{root}/manifest.json", early["manifest.json"]),
            "mark": (f"{root}/ledger/time/pr/0.1.0.json", f"{root}/ledger/time/pr/1.1.0.json"),
            "item": ("inputs/rain/rain.json", "metrics/dry/dry.json"),
            "state": ("inputs/rain/state.json", "metrics/dry/state.json"),
            "collection": ("inputs/collection.json", "metrics/collection.json"),
            "catalogue": ("catalog.json", "inputs/collection.json"),
        }
        read = {
            name: Kind(key, other if isinstance(other, bytes) else (folder / "cube" / other).read_bytes())
            for name, (key, other) in others.items()
        }
        read["manifest of another"] = Kind(read["manifest"].key, (folder / "cube" / dry / "manifest.json").read_bytes())
        return cls(folder, str(root), str(dry), read)

    @staticmethod
    def _series(folder: Path, patch: pytest.MonkeyPatch) -> Series:
        small_blocks(patch)
        with_references(patch)
        project = Series(folder, patch)
        project.more = '    references: {base_url: "https://data.example.org/rain"}'
        return project

    def copied(self, folder: Path) -> Path:
        """A cube of its own at `folder`/cube; files are replaced there, never written into."""
        return linked(self.folder / "cube", folder / "cube")

    def series(self, folder: Path, patch: pytest.MonkeyPatch) -> Series:
        """A copy with its archive, to be built on."""
        self.copied(folder)
        project = self._series(folder, patch)
        linked(self.folder / "archive", project.archive)
        return project

    def damage(self, cube: Path, kind: str, how: str) -> str:
        """Damage the object of a kind in a copy; its key."""
        damage(cube / self.kinds[kind].key, how, self.kinds[kind].other)
        return self.kinds[kind].key


def _later(root: Path, folder: Path) -> bytes:
    """The chunk of the same time axis a year later, by zarr itself."""
    shutil.copytree(root / "time.zarr", folder)
    array = zarr.open_array(folder / "time", mode="r+")
    array[:] = array[:] + 360
    return (folder / "time/c/0").read_bytes()


def with_references(patch: pytest.MonkeyPatch, **options: int) -> None:
    """Publish references however small the chunks of the archive are."""
    real = ingest.references.build_references
    patch.setattr(ingest.references, "build_references", functools.partial(real, smallest_chunk=1, **options))


def flipped(data: bytes, position: int | None = None) -> bytes:
    place = len(data) // 2 if position is None else position
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


HOW: Mapping[str, Callable[[bytes, bytes], bytes]] = {
    "truncated": lambda data, other: data[:-10],
    "emptied": lambda data, other: b"",
    "flipped": lambda data, other: flipped(data),
    "swapped": lambda data, other: other,
}
DAMAGES = ("deleted", *HOW)


def damage(path: Path, how: str, other: bytes = b"") -> None:
    """Damage one file; other names of it keep what it was."""
    data = path.read_bytes()
    path.unlink()
    if how != "deleted":
        path.write_bytes(HOW[how](data, other))


def verified(project: Series, *options: str) -> tuple[int, list[str]]:
    """Exit code of `cube verify`, and what it names."""
    project.spec()
    result = CliRunner().invoke(main, ["verify", "--json", *options, "--spec", str(project.folder / "cube.yaml")])
    return result.exit_code, [each["where"] for found in json.loads(result.stdout) for each in found["problems"]]


def assert_whole(project: Series, days: int = DAYS.stop) -> None:
    assert verified(project, "--deep") == (0, [])
    expected = series("pr", range(days))
    for layout in ("time", "map"):
        np.testing.assert_array_equal(project.open(layout=layout)["pr"].values, expected)
    np.testing.assert_array_equal(project.open("dry", "metrics")["dry_days"].fillna(-1).values, dry_days(days))
