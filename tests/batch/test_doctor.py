"""`cube doctor` as an operator and a machine meet it: what would stop a build is named, with its fix and exit code."""

from __future__ import annotations

import json
import os
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


NIGHTS = 'schedule: {build: {cron: "30 2 * * *"}, environment: cube.env, notify: {webhook: TOY_HOOK, mail: MAIL}}'


def schedule_rows(result: Result) -> dict[str, tuple[str, str]]:
    rows = {name: (check["result"], check["found"]) for name, check in told(result).items()}
    return {name: found for name, found in rows.items() if name.startswith("schedule: ") and "driver" not in name}


def test_nobody_is_told_of_failures_and_the_doctor_is_content(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_HOOK", "")
    monkeypatch.delenv("TOY_HOOK")
    nights = NIGHTS.replace("MAIL", "{to: [ops@example.org], command: [no-such-mailer]}")
    rows = schedule_rows(doctor("--json", "--no-plan", more=nights))
    assert {name: result for name, (result, _) in rows.items()} == {
        "schedule: environment": "warning",
        "schedule: webhook": "warning",
        "schedule: mail": "warning",
    }
    rows = schedule_rows(doctor("--json", "--no-plan", more='schedule: {gc: {cron: "0 7 * * 0"}}'))
    assert rows == {"schedule: notify": ("warning", "nobody is told when a run fails")}
    assert schedule_rows(doctor("--json", "--no-plan")) == {}


def test_environment_of_runs_that_is_refused_passes(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_HOOK", "")
    monkeypatch.delenv("TOY_HOOK")
    nights = NIGHTS.replace("MAIL", "{to: [ops@example.org], command: [cat]}")
    Path("cube.env").write_text("TOY_HOOK=https://example.org/s3cr3t\n")
    Path("cube.env").chmod(0o640)
    result = doctor("--json", "--no-plan", more=nights)
    assert (result.exit_code, problems(result)) == (2, ["schedule: environment"])
    assert "chmod 600" in told(result)["schedule: environment"]["fix"]
    Path("cube.env").chmod(0o600)
    result = doctor("--json", "--no-plan", more=nights)
    assert (result.exit_code, {each for each, _ in schedule_rows(result).values()}) == (0, {"ok"})
    assert "s3cr3t" not in result.output


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slurm's commands of a site with one partition of a day, nodes of 16 cores and 64,000 MiB, without accounts."""
    folder = tmp_path / "slurm-commands"
    folder.mkdir()
    for name, text in {
        "sinfo": 'case "$*" in *-N*) echo "16|64000|idle";; *) echo "batch*";; esac',
        "scontrol": 'echo "PartitionName=batch AllowAccounts=ALL AllowQos=ALL State=UP MaxTime=1-00:00:00"',
        "sbatch": f"cat >{folder}/asked",
        **dict.fromkeys(("squeue", "scancel", "sacctmgr"), "exit 1"),
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.mark.parametrize(
    ("driver", "code", "where"),
    [
        ("{walltime: 30 h}", "slurm-walltime", "schedule.driver.walltime"),
        ("{memory: 63 GiB}", "slurm-memory", "schedule.driver.memory"),
    ],
)
def test_driver_that_pends_for_ever_passes(doctor: Doctor, site: Path, driver: str, code: str, where: str) -> None:
    row = "schedule: driver's request"
    nights = 'schedule: {build: {cron: "30 2 * * *"}, driver: DRIVER}'
    result = doctor("--json", "--no-plan", more=nights.replace("DRIVER", driver))
    assert (result.exit_code, problems(result)) == (4, [row])
    assert told(result)[row]["found"].startswith(where)
    assert f"[{code}]" in told(result)[row]["found"]
    assert "cluster" not in told(result)[row]["fix"]
    result = doctor("--json", "--no-plan", more=nights.replace("DRIVER", "{memory: 3 GiB}"))
    assert (result.exit_code, told(result)[row]["result"]) == (0, "ok")
    script = (site / "asked").read_text().splitlines()
    assert script == ["#!/bin/bash", "#SBATCH --time=1440", "#SBATCH --mem=3072M", "true"]


def test_machine_with_an_idle_slurm_blames_a_schedule_without_it(doctor: Doctor, site: Path) -> None:
    (site / "sinfo").write_text("#!/bin/sh\nexit 1\n")
    row = "schedule: driver's request"
    result = doctor("--json", "--no-plan", more='schedule: {build: {cron: "30 2 * * *"}}')
    assert (result.exit_code, told(result)[row]["result"]) == (0, "not tried")
    result = doctor("--json", "--no-plan", more='schedule: {build: {cron: "30 2 * * *"}, driver: {}}')
    assert (result.exit_code, problems(result)) == (4, [row])
    assert "SLURM_CONF" in told(result)[row]["fix"]
    assert "[slurm-away]" in told(result)[row]["found"]
