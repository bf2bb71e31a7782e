"""Bad input through the whole service: one clear report, its exit code, nothing published, nothing lost."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from click.testing import CliRunner

from batch import build as building
from batch.command import main
from tests.batch.archive import rain, write_day

HEAD = "title: Bad input\nstore: STORE\nmemory: 1 GiB\ncluster: {kind: local, workers: 0}\nproducts:\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


class Project:
    def __init__(self, folder):
        self.folder, self.store = folder, "./cube"

    def archive(self, folder, days=range(5), **options):
        for day in days:
            write_day(self.folder / folder, day, **options)

    def run(self, *arguments, **products):
        lines = [HEAD.replace("STORE", str(self.store))]
        for name, options in products.items():
            each = {"job": "ingest", "collection": "inputs", "source": "cf", "files": f"{name}/*.nc", **options}
            lines.append(f"  {name}: {json.dumps(each)}\n")
        (self.folder / "cube.yaml").write_text("".join(lines))
        return CliRunner().invoke(main, list(arguments))

    def published(self):
        items = (self.folder / "cube").glob("inputs/*/*.json")
        return sorted(path.stem for path in items if path.stem == path.parent.name)


def test_faults_of_several_products_are_not_reported_in_one_go(project):
    project.archive("sound")
    project.archive("hole", [0, 1, 3, 4])
    project.archive("double")
    write_day(project.folder / "double", 2, values=rain(99), file_name="again.nc")
    project.archive("other")
    write_day(project.folder / "other", 5, name="tas", units="K")
    project.archive("grid")
    write_day(project.folder / "grid", 5, lat=np.arange(5) * 0.5 + 20.0)
    project.archive("unit", name="rfe", units="K")
    project.archive("empty")
    (project.folder / "empty" / "rain_20000103.nc").write_bytes(b"")
    project.archive("short")
    path = project.folder / "short" / "rain_20000103.nc"
    path.write_bytes(path.read_bytes()[:1500])
    names = ["sound", "hole", "double", "other", "grid", "unit", "empty", "short", "nothing"]
    options = {name: {"source": "tamsat"} if name == "unit" else {} for name in names}
    result = project.run("build", "--json", **options)
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert sorted(found["failed"]) == sorted(set(names) - {"sound"})
    words = {name: json.dumps(each["problems"]) for name, each in found["failed"].items()}
    assert "2000-01-03" in words["hole"]
    assert "gaps" in words["hole"]
    assert "again.nc" in words["double"]
    assert "rain_20000103.nc" in words["double"]
    assert "duplicates" in words["double"]
    assert "tas" in words["other"]
    assert "2000-01-06" in words["other"]
    assert "rain_20000106.nc" in words["grid"]
    assert "'K'" in words["unit"]
    assert "rain_20000103.nc" in words["empty"]
    assert "rain_20000103.nc" in words["short"]
    assert "nothing" in words["nothing"]
    for each in found["failed"].values():
        for problem in each["problems"]:
            assert problem["fix"], problem
            assert problem["code"]
    assert project.published() == ["sound"]


def test_several_faults_of_one_set_are_reported_one_by_one(project):
    project.archive("rain", [0, 1, 4, 5])
    write_day(project.folder / "rain", 1, values=rain(99), file_name="again.nc")
    (project.folder / "rain" / "rain_20000120.nc").write_bytes(b"")
    result = project.run("build", "--json", rain={})
    problems = json.loads(result.stdout)["failed"]["rain"]["problems"]
    text = json.dumps(problems)
    assert len(problems) >= 3
    assert "again.nc" in text
    assert "rain_20000120.nc" in text
    assert "2000-01-03" in text


def test_unmounted_archive_publishes_less(project):
    project.archive("rain")
    assert project.run("build", rain={}).exit_code == 0
    before = (project.folder / "cube/inputs/rain/rain.json").read_bytes()
    shutil.move(project.folder / "rain", project.folder / "unmounted")
    result = project.run("build", rain={})
    assert result.exit_code == 3
    assert "to 2000-01-05 is still published" in result.output
    (project.folder / "rain").mkdir()
    for name in ("rain_20000101.nc", "rain_20000102.nc"):
        shutil.copy2(project.folder / "unmounted" / name, project.folder / "rain" / name)
    result = project.run("build", rain={})
    assert result.exit_code == 4
    assert "would end at 2000-01-02" in result.output
    assert (project.folder / "cube/inputs/rain/rain.json").read_bytes() == before
    assert project.run("build", "--allow-retraction", rain={}).exit_code == 0


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here; it takes root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_loses_what_is_published(project, small_disk):
    project.archive("rain", range(20))
    project.store = small_disk / "cube"
    assert project.run("build", rain={}).exit_code == 0
    item = small_disk / "cube/inputs/rain/rain.json"
    before = item.read_bytes()
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1024)) == 1024:
            pass
    # Room for the lock, not for the version.
    os.truncate(filler, filler.stat().st_size - 20 * 1024)
    project.archive("rain", range(20, 30))
    result = project.run("build", rain={})
    assert result.exit_code == 5, result.output
    assert "store-full" in result.output
    assert "is still published" in result.output
    assert item.read_bytes() == before
    assert project.run("verify", "--deep", rain={}).exit_code == 0
    filler.unlink()
    assert project.run("build", rain={}).exit_code == 0
    assert item.read_bytes() != before


def test_store_without_permission_is_a_traceback(project, monkeypatch):
    project.archive("rain")
    (project.folder / "cube").mkdir(mode=0o555)
    user = os.geteuid()
    for folder in (project.folder, *project.folder.parents):
        if folder.stat().st_uid == user and folder.stat().st_mode & 0o055 != 0o055 and folder.is_relative_to("/tmp"):
            folder.chmod(0o755)
    project.run("plan", rain={})
    if user == 0:
        # Processes of another user could not read this user's Python.
        monkeypatch.setattr(building, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))
        os.seteuid(65534)
    try:
        result = CliRunner().invoke(main, ["build"])
    finally:
        os.seteuid(user)
    assert result.exit_code == 5, result.output
    assert "store-permission" in result.output
    assert project.published() == []


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("  rain: {job: ingest, collection: inputs, source: cf, files: a.nc, unknown: 1}\n", "unknown"),
        ("  rain: {job: ingest, collection: inputs, source: cff, files: a.nc}\n", "cff"),
        (
            "  a: {job: metric, collection: m, metric: dry_days, input: b, threshold: 1 mm d-1}\n"
            "  b: {job: metric, collection: m, metric: dry_days, input: a, threshold: 1 mm d-1}\n",
            "'a' is made from 'b', which is made from 'a'",
        ),
        ("  a: {job: metric, collection: m, metric: dry_days, input: rain, threshold: 1 mm d-1}\n", "rain"),
    ],
)
def test_unusable_specification_has_no_line_or_another_code(project, section, words):
    (project.folder / "cube.yaml").write_text(HEAD.replace("STORE", "./cube") + section)
    for command in ("plan", "build", "status"):
        result = CliRunner().invoke(main, [command])
        assert result.exit_code == 2
        assert words in result.output
        assert "cube.yaml:" in result.output
