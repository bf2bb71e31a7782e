"""A toy cube with several published versions, and the commands that return to old ones or delete them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from batch import jobs
from batch.collecting import DAYS, KEEP, Collected, collect
from batch.command import main
from batch.locking import locked
from batch.reporting import Reporter
from batch.rollback import Pinned, release, roll_back
from batch.spec import Spec, load_spec
from cube.hashing import digest
from cube.stores import Storage, Store, open_store
from cube.verify import verify
from cube.versions import ProductPath
from tests.batch.test_build import Project
from tests.batch.toy import Toy, ToyOptions, expected

QUIET = Reporter(quiet=True)
RAIN, DRY = ProductPath("inputs", "rain"), ProductPath("metrics", "dry")
LENGTHS = (800, 900, 1000)


def changed(state: dict[str, Any], changes: dict[str, Any]) -> bytes:
    """A state.json with other values, as a build would have written it."""
    value = {name: each for name, each in {**state, **changes}.items() if name != "sha256"}
    return json.dumps({**value, "sha256": digest(value)}).encode()


class Kept(Project):
    """versions: those of `rain` that were published, oldest first."""

    def __init__(self, folder: Path, versions: tuple[str, ...] = ()) -> None:
        super().__init__(folder)
        self.versions = versions

    @classmethod
    def built(cls, folder: Path, **options: Any) -> Kept:
        """One version of each length."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(jobs.JOBS, "toy", Toy)
            project = cls(folder)
            for days in LENGTHS:
                assert not project.build(project.spec(days=days, **options)).failed
                project.versions += (project.version(),)
        return project

    @classmethod
    def empty(cls, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
        monkeypatch.setitem(jobs.JOBS, "toy", Toy)
        monkeypatch.setitem(jobs.OPTIONS, "toy", ToyOptions)
        return cls(folder)

    def copied(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
        """The same cube in another folder, for a test that changes it."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        made = self.empty(folder, monkeypatch)
        made.versions = self.versions
        return made

    @property
    def rain(self) -> Path:
        return self.folder / "cube/inputs/rain"

    def store(self) -> Store:
        return open_store(self.folder / "cube")

    def state(self, path: ProductPath = RAIN) -> dict:
        return json.loads((self.folder / "cube" / path.state).read_text())

    def change_state(self, path: ProductPath = RAIN, **changes) -> None:
        (self.folder / "cube" / path.state).write_bytes(changed(self.state(path), changes))

    def age(self, days: float, path: ProductPath = RAIN) -> None:
        """Let so much time pass for all versions that left service."""
        passed = np.timedelta64(round(days * 86400), "s")
        left = {version: np.datetime64(when.removesuffix("Z")) for version, when in self.state(path)["left"].items()}
        self.change_state(path, left={version: f"{when - passed}Z" for version, when in left.items()})

    def loaded(self) -> Spec:
        """The specification as it was last written."""
        return load_spec(self.folder / "cube.yaml", {name: job.Options for name, job in jobs.JOBS.items()})

    def roll_back(self, version: str | None = None, name: str = "rain") -> Pinned:
        spec, store = self.loaded(), self.store()
        with locked(spec, store, QUIET) as lease:
            return roll_back(spec, store, name, version, lease)

    def release(self, name: str = "rain") -> str | None:
        spec, store = self.loaded(), self.store()
        with locked(spec, store, QUIET) as lease:
            return release(spec, store, name, lease)

    def collect(self, *, dry_run: bool = False, keep: int = KEEP, days: float = DAYS) -> list[Collected]:
        """What gc deletes, or would. A product that is left alone raises its error."""

        def failed(name, error):
            raise error

        spec, store = self.loaded(), self.store()
        if dry_run:
            return list(collect(spec, store, None, keep=keep, days=days, failed=failed))
        with locked(spec, store, QUIET) as lease:
            return list(collect(spec, store, lease, keep=keep, days=days, failed=failed))

    def run(self, command: str, *arguments: str) -> Result:
        """The command `cube` with the specification as it was last written."""
        return CliRunner().invoke(main, [command, "--spec", str(self.folder / "cube.yaml"), *arguments])

    def values(self) -> np.ndarray:
        return self.open()["pr"].values

    def assert_whole(self, *paths: ProductPath) -> None:
        for path in paths or (RAIN, DRY):
            found = verify(self.store(), path, deep=True)
            assert found is not None
            assert found.problems == ()

    def assert_rain(self, days: int, **options) -> None:
        """Readers have just these values, whole."""
        np.testing.assert_array_equal(self.values(), expected(ToyOptions(days=days, **options)))
        self.assert_whole(RAIN)

    def tree(self) -> dict[str, tuple]:
        """Everything that lies in the store but lock and records: time of writing and content of files."""
        found = self.files().items()
        return {name: each for name, each in found if not name.startswith(("lock", ".compare-and-set", "runs/"))}


class Remote(Kept):
    """The same on an object store, without a metric; readers are xarray and fsspec alone."""

    def __init__(self, folder: Path, url: str, endpoint_url: str) -> None:
        super().__init__(folder)
        self.url, self.storage = url, {"endpoint_url": endpoint_url}

    def store(self) -> Store:
        return open_store(self.url, Storage(**self.storage))

    def spec(self, **options: Any) -> Spec:
        super().spec(metric=False, **options)
        path = self.folder / "cube.yaml"
        here = f"store: {self.url}\nstorage: {json.dumps(self.storage)}"
        path.write_text(path.read_text().replace("store: ./cube", here))
        return self.loaded()

    def version(self, product: str = "rain", collection: str = "inputs") -> str:
        item = json.loads(self.store().get(f"{collection}/{product}/{product}.json"))
        return item["properties"]["version"]

    def state(self, path: ProductPath = RAIN) -> dict[str, Any]:
        return json.loads(self.store().get(path.state))

    def change_state(self, path: ProductPath = RAIN, **changes: Any) -> None:
        self.store().put(path.state, changed(self.state(path), changes), immutable=False)

    def open(self, version: str | None = None) -> xr.Dataset:
        address = f"{self.url}/inputs/rain/{version or self.version()}/time.zarr"
        return xr.open_zarr(address, storage_options={"client_kwargs": self.storage})

    def tree(self) -> dict[str, Any]:
        store = self.store()
        return {key: store.head(key) for key in store.walk("") if not key.startswith(("lock", "runs/"))}
