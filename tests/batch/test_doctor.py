"""`cube doctor` as an operator and a machine meet it: what would stop a build is named, with its fix and exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import batch.doctor.command
from batch import jobs
from batch.command import main
from batch.doctor import trials
from cube.checks import Check, Trial
from cube.stores import folder_checks, retry
from tests.batch.archive import write_day
from tests.batch.toy import Toy, ToyOptions

Doctor = Callable[..., Result]
WORKER = "{kind: local, workers: 1}"


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Runs the doctor on a cube of one toy product; `more` are further lines of the specification."""
    monkeypatch.setitem(jobs.JOBS, "toy", Toy)
    monkeypatch.setitem(jobs.OPTIONS, "toy", ToyOptions)
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def doctor(
        *arguments: str, more: str = "", cluster: str = "{kind: local, workers: 1}", store: str = "cube"
    ) -> Result:
        folder = Path(store)
        if store == "cube":
            folder.mkdir(exist_ok=True)
        Path("cube.yaml").write_text(
            f"title: Toy\nstore: {store}\nmemory: 1 GB\ncluster: {cluster}\n{more}\nproducts:\n"
            "  toy: {job: toy, collection: inputs, days: 800}\n"
        )
        return CliRunner().invoke(main, ["doctor", *arguments])

    return doctor


@pytest.fixture
def archive(doctor: Doctor, tmp_path: Path) -> Doctor:
    """The same with a product of archive files."""
    for day in range(3):
        write_day(tmp_path / "archive", day)

    def with_archive(*arguments: str, files: str = "archive/*.nc") -> Result:
        Path("cube").mkdir(exist_ok=True)
        Path("cube.yaml").write_text(
            "title: Toy\nstore: cube\nmemory: 1 GB\ncluster: {kind: local, workers: 1}\nproducts:\n"
            f"  rain: {{job: ingest, collection: inputs, source: cf, files: {files}, "
            "provenance: {licence: CC-BY-4.0, redistribution: 'yes'}}\n"
            "  toy: {job: toy, collection: inputs, days: 800}\n"
        )
        return CliRunner().invoke(main, ["doctor", *arguments])

    return with_archive


def told(result: Result) -> dict[str, dict[str, str]]:
    value = json.loads(result.stdout)
    assert value["exit_code"] == result.exit_code
    return {check["name"]: check for check in value["checks"]}


def problems(result: Result) -> list[str]:
    return [name for name, check in told(result).items() if check["result"] == "problem"]


def test_healthy_cube_is_blamed_or_changed(archive: Doctor, tmp_path: Path) -> None:
    result = archive()
    assert result.exit_code == 0, result.output
    assert "problem" not in result.stdout
    assert result.stdout.splitlines()[-1].endswith("ok")
    checks = told(archive("--json"))
    assert checks["archive: rain"]["found"] == "3 files; rain_20000101.nc can be read"
    assert {"store: write", "cluster: memory", "space for the plan"} < set(checks)
    assert [path.name for path in (tmp_path / "cube").iterdir()] == [".compare-and-set"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ("mount/tamsat/**/*.nc", "there is no folder"),
        ("archive/*.nc4", "no file matches"),
        ("archive/gone.nc", "there is no such file"),
        ("archive/damaged.nc", "cannot be read as NetCDF"),
        ("archive/empty.nc", "cannot be read as NetCDF"),
    ],
)
def test_missing_or_damaged_archive_passes(archive: Doctor, files: str, words: str) -> None:
    Path("archive/damaged.nc").write_bytes(Path("archive/rain_20000101.nc").read_bytes()[:500])
    Path("archive/empty.nc").write_bytes(b"")
    result = archive("--json", "--no-plan", files=files)
    assert result.exit_code == 3
    check = told(result)["archive: rain"]
    assert words in check["found"]
    assert check["fix"]
    assert told(result)["store: delete"]["result"] == "ok", "the other checks are made"


def test_archive_over_the_network_with_locks_passes(archive: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.checks.file_system", lambda _: "nfs4")
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", "TRUE")
    check = told(archive("--json", "--no-plan"))["archive: rain"]
    assert (check["result"], check["fix"]) == ("warning", "set HDF5_USE_FILE_LOCKING=FALSE")
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", "FALSE")
    check = told(archive("--json", "--no-plan"))["archive: rain"]
    assert (check["result"], "nfs4" in check["found"]) == ("ok", True)


def test_code_is_not_that_of_the_first_problem(archive: Doctor) -> None:
    shutil.rmtree("archive")
    Path("cube").mkdir()
    Path("cube/runs").write_text("a file in the way")
    result = archive("--json", "--no-plan")
    assert problems(result) == ["store: write", "archive: rain"]
    assert result.exit_code == 5


def test_missing_lock_folder_or_one_without_locks_passes(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor("--json", "--no-plan", more="lock: locks")
    assert (result.exit_code, problems(result)) == (5, ["lock"])
    Path("locks").mkdir()
    result = doctor("--json", "--no-plan", more="lock: locks")
    assert (result.exit_code, told(result)["lock"]["result"]) == (0, "ok")
    monkeypatch.setattr("cube.stores.directory.DirectoryStore.conditional", False)
    result = doctor("--json", "--no-plan", more="lock: locks")
    assert (result.exit_code, problems(result)) == (5, ["lock"])


def test_scratch_that_cannot_be_written_passes(doctor: Doctor) -> None:
    cluster = "{kind: local, scratch: fast/scratch}"
    result = doctor("--json", "--no-plan", cluster=cluster)
    assert told(result)["scratch"]["result"] == "ok"
    shutil.rmtree("fast", ignore_errors=True)
    Path("fast").write_text("a file in the way")
    result = doctor("--json", "--no-plan", cluster=cluster)
    assert (result.exit_code, problems(result)) == (5, ["scratch"])


def test_plan_that_does_not_fit_passes(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 800 * 6 * 8 * 4  # days, cells, bytes of float32
    for free, code in ((size + 100_000, 0), (size - 1, 4)):
        monkeypatch.setattr(trials, "room", lambda _, free=free: folder_checks.Room(free, None))
        result = doctor("--json")
        assert result.exit_code == code
    check = told(result)["space for the plan"]
    assert "at most 0.1 MiB for new versions" in check["found"]
    assert "cube gc" in check["fix"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A file system of 128 KiB, None where this user may not mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", folder], capture_output=True)
    yield folder if mount.returncode == 0 else None
    if mount.returncode == 0:
        subprocess.run(["umount", folder], check=True)


def test_small_disk_passes(doctor: Doctor, small_disk: Path | None) -> None:
    if small_disk is None:
        pytest.skip("this user may not mount; the test before this one plays the same")
    result = doctor("--json", store=str(small_disk))
    assert (result.exit_code, problems(result)) == (4, ["space for the plan"])


def test_what_is_published_counts_as_new(doctor: Doctor) -> None:
    assert doctor().exit_code == 0
    assert CliRunner().invoke(main, ["build"]).exit_code == 0
    assert "at most 0.0 MiB for new versions" in told(doctor("--json"))["space for the plan"]["found"]


def test_plan_that_fails_hides_the_other_checks(archive: Doctor, tmp_path: Path) -> None:
    (tmp_path / "archive/rain_20000102.nc").write_bytes(b"damaged")
    result = archive("--json")
    assert result.exit_code == 0, "the plan is no check of the archive's values; `cube plan` is"
    check = told(result)["space for the plan"]
    assert check["result"] == "warning"
    assert "cannot be planned, the first for rain [file-unreadable]" in check["found"]
    assert check["fix"] == "see `cube plan`"


def test_workers_beyond_the_machine_pass(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "machine_memory", lambda: 10**10)
    monkeypatch.setattr(trials, "cores", lambda: 8)
    for workers, result in ((8, "ok"), (9, "warning"), (11, "warning")):
        checks = told(doctor("--json", "--no-plan", cluster=f"{{kind: local, workers: {workers}}}"))
        assert checks["cluster: memory"]["result"] == result
    assert "may use more than there is" in checks["cluster: memory"]["found"]


def test_cluster_of_the_command_line_is_not_looked_at(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "cores", lambda: 1)
    checks = told(doctor("--json", "--no-plan", "--cluster", "local,workers=3"))
    assert checks["cluster: memory"]["found"].startswith("more workers than cores: 3 x")
    assert doctor("--cluster", "locale").exit_code == 2


def test_memory_of_the_machine_differs_from_what_the_kernel_says() -> None:
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    assert 0 < trials.machine_memory() <= int(total.split()[1]) * 1024


def test_slow_check_is_silent(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(name: str) -> Check:
        time.sleep(0.3)
        return Check(name, "ok", "done")

    monkeypatch.setattr(batch.doctor.command, "SLOW_SECONDS", 0.02)
    monkeypatch.setattr(batch.doctor.command, "trials", lambda *_: [Trial("slow thing", slow)])
    result = doctor()
    assert "slow thing: still at it" in result.stderr
    assert "still" not in result.stdout
    assert "still" not in doctor("--json").output


def test_check_that_fails_by_itself_stops_the_others(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Check:
        raise ZeroDivisionError

    monkeypatch.setattr(trials, "_memory", broken)
    result = doctor("--json")
    assert (result.exit_code, problems(result)) == (1, ["cluster: memory"])
    assert told(result)["space for the plan"]["result"] == "ok"


def test_unknown_product_or_specification_is_a_traceback(doctor: Doctor) -> None:
    assert doctor("rainn").exit_code == 2
    assert CliRunner().invoke(main, ["doctor", "--spec", "nowhere.yaml"]).exit_code == 2


def test_server_that_is_away_is_asked_for_each_product(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "CONTACT_SECONDS", 0.1)
    result = doctor("--json", store="s3://bucket/cube", more="storage: {endpoint_url: 'http://127.0.0.1:9'}")
    checks = told(result)
    assert result.exit_code == 5
    assert "[store-" in checks["store: write"]["found"]
    assert checks["space for the plan"]["result"] == "not tried"
    assert checks["cluster: memory"]["result"] == "ok"


@pytest.mark.s3
def test_object_store_is_not_examined(doctor: Doctor, s3_server: object, s3_url: str) -> None:
    endpoint = s3_server.endpoint_url  # type: ignore[attr-defined]
    result = doctor("--json", store=s3_url, more=f"storage: {{endpoint_url: '{endpoint}'}}")
    checks = told(result)
    assert result.exit_code == 0
    assert {"store: keys", "store: clock", "store: upload in parts"} < set(checks)
    assert "store: public read" not in checks, "without `policy` nothing is said of the public"
    assert "not told by this server" in checks["space for the plan"]["found"]
