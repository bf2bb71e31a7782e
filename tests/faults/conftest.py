"""Cubes that are put under fire, and what undisturbed runs make of the same archive."""

from __future__ import annotations

import functools
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.checks import Expected
from tests.faults.harness import Cube, Victims
from tests.faults.products import BASE_DAYS, COLLECTIONS, GROWN_DAYS, Wanted, write_archive
from tests.s3_server import S3Server


class Range:
    """Makes cubes over one archive. base and grown: what undisturbed runs make."""

    def __init__(self, folder: Path, victims: Victims) -> None:
        self.folder = folder
        self.archive = folder / "archive"
        self.victims = victims
        self._server: Callable[[], S3Server] | None = None
        write_archive(self.archive)
        self._built = self.cube()
        self.base = self._undisturbed(self._built, ["base"], BASE_DAYS)
        shutil.copytree(self._built.location, folder / "base")
        self.grown = self._undisturbed(self._built, ["base", "more"], GROWN_DAYS)
        shutil.copytree(self._built.location, folder / "grown")

    def _undisturbed(self, cube: Cube, folders: list[str], days: int, *, changed: bool = False) -> Expected:
        cube.declare(folders)
        run = cube.run()
        assert run.code == 0, run.said
        return Expected.of(cube, Wanted(days, changed=changed))

    @functools.cached_property
    def changed(self) -> Expected:
        """What an undisturbed run makes of a grown cube where an earlier file is another one by now."""
        return self._undisturbed(self.cube(start="grown"), ["changed", "more"], GROWN_DAYS, changed=True)

    def cube(
        self,
        products: tuple[str, ...] = tuple(COLLECTIONS),
        *,
        server: S3Server | None = None,
        start: str | None = None,
    ) -> Cube:
        """A new cube in a directory, or on a server.

        start  "base" or "grown": it begins as that undisturbed run has left it
        """
        name = secrets.token_hex(6)
        location, endpoint = (f"s3://{server.bucket}/{name}", server.endpoint_url) if server else ("", "")
        cube = Cube(self.folder / name, self.archive, self.victims, location, endpoint, products)
        if start and server:
            # Its items tell readers how to reach the server.
            cube.declare(["base"] if start == "base" else ["base", "more"])
            assert cube.run().code == 0
        elif start:
            wanted = [f"{COLLECTIONS[product]}/{product}/" for product in products]
            for path in sorted((self.folder / start).rglob("*")):
                key = path.relative_to(self.folder / start).as_posix()
                if path.is_file() and any(key.startswith(each) for each in wanted):
                    cube.store.put(key, path.read_bytes())
        return cube


@pytest.fixture(scope="session")
def victims() -> Iterator[Victims]:
    made = Victims()
    yield made
    made.close()


@pytest.fixture(scope="session")
def range_(tmp_path_factory: pytest.TempPathFactory, victims: Victims) -> Range:
    return Range(tmp_path_factory.mktemp("faults"), victims)
