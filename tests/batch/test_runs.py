"""Records of runs: each run leaves one, however it ends, and nothing rests on them."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from batch import jobs
from batch.command import main
from batch.runs import records
from batch.runs.records import Run
from cube.errors import InputError, Problem, StoreError
from cube.lock import hold, place_of_lock
from cube.stores import Storage, open_store
from cube.stores.directory import DirectoryStore
from tests.batch.scheduled import Scheduled
from tests.batch.toy import Toy, ToyOptions
from tests.s3_server import S3Server

KEYS = {
    "schema", "id", "entry", "by", "command", "cluster", "started", "ended", "seconds", "exit_code", "host", "process",
    "process_started", "machine", "slurm_job", "package", "scheduled", "outcome", "problems", "problems_omitted",
    "notified", "report",
}  # fmt: skip


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scheduled:
    monkeypatch.setitem(jobs.JOBS, "toy", Toy)
    monkeypatch.setitem(jobs.OPTIONS, "toy", ToyOptions)
    return Scheduled(tmp_path)


def stored(store: DirectoryStore) -> list[str]:
    return sorted(path.name for path in (store.root / "runs").iterdir())


def read(store: DirectoryStore, entry: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((store.root / f"runs/latest-{entry}.json").read_text())
    return found


def test_build_leaves_no_record_or_an_incomplete_one(toy: Scheduled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    compute = Toy.compute
    during: list[Any] = []

    def noting(self: Toy, *arguments: Any) -> Any:
        during.append(toy.latest())
        return compute(self, *arguments)

    monkeypatch.setattr(Toy, "compute", noting)
    assert toy.cube("build", "rain").exit_code == 0
    found = dict(toy.latest())
    assert found.keys() == KEYS
    start = during[0]
    assert (start["id"], start["ended"], start["exit_code"], start["seconds"]) == (found["id"], None, None, None)
    assert (found["entry"], found["by"], found["exit_code"], found["cluster"]) == ("build", "hand", 0, "local")
    assert found["command"] == f"cube build rain --spec {toy.spec_path}"
    assert (found["process"], found["slurm_job"]) == (os.getpid(), "4711")
    assert (
        before <= datetime.datetime.fromisoformat(found["started"]) <= datetime.datetime.fromisoformat(found["ended"])
    )
    assert [each["name"] for each in found["outcome"]["built"]] == ["rain"]
    assert "manifest" not in found["outcome"]["built"][0]
    assert found["id"].startswith(found["started"].replace(":", "-") + "-build-")
    own = json.loads((toy.folder / f"cube/runs/{found['id']}.json").read_text())
    assert own == found


def test_failure_is_not_in_the_record(toy: Scheduled) -> None:
    toy.write(broken=1)
    assert toy.cube("build").exit_code == 3
    found = toy.latest()
    assert found["exit_code"] == 3
    assert found["outcome"]["failed"] == {"rain": {"exit_code": 3, "codes": ["input-moved"]}}
    assert found["outcome"]["waiting"] == {"dry": "rain"}
    assert [each["code"] for each in found["problems"]] == ["input-moved"]


def error(code: str, what: str = "wrong") -> InputError:
    return InputError(Problem(code, what))


@pytest.mark.parametrize(
    ("raised", "code", "problems"),
    [
        (None, 0, []),
        (error("time-gap"), 3, ["time-gap"]),
        (SystemExit(6), 6, []),
        (SystemExit(None), 0, []),
        (SystemExit("text"), 1, []),
        (RuntimeError("password=hunter2"), 1, ["run-fault"]),
        (KeyboardInterrupt(), 1, ["run-terminated"]),
        (click.Abort(), 1, ["run-terminated"]),
        (click.UsageError("no"), 2, []),
        (click.exceptions.Exit(4), 4, []),
    ],
)
def test_end_of_a_command_is_not_recorded_as_the_shell_sees_it(
    tmp_path: Path, raised: BaseException | None, code: int, problems: list[str]
) -> None:
    store = DirectoryStore(tmp_path)

    @click.command()
    def command() -> None:
        with records.recorded(store, "build", command="cube build", cluster="local"):
            if raised is not None:
                raise raised

    if isinstance(raised, InputError):
        with pytest.raises(InputError):
            command.main([], standalone_mode=True)
    else:
        result = CliRunner().invoke(command)
        assert result.exit_code == code
    found = read(store, "build")
    assert found["exit_code"] == code
    assert found["ended"] is not None
    assert [each["code"] for each in found["problems"]] == problems
    assert "hunter2" not in json.dumps(found)


def test_run_inside_a_run_leaves_a_record_of_its_own(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    with records.recorded(store, "build", command="a", cluster="local", by="schedule") as outer:
        inner = records.recorded(store, "build", command="b", cluster="local")
        with pytest.raises(InputError), inner:
            raise error("time-gap")
        assert records.current() is outer
    assert records.current() is None
    assert len(stored(store)) == 2
    assert [each["code"] for each in read(store, "build")["problems"]] == ["time-gap"]


TERMINATED = """
import sys, time
from batch.runs import records
from batch.commanding import ended_in_order
from cube.stores.directory import DirectoryStore
store = DirectoryStore(sys.argv[1])
with ended_in_order(), records.recorded(store, "build", command="cube build", cluster="local"):
    print("at work", flush=True)
    try:
        time.sleep(60)
    finally:
        print(records.latest(store, "build")["exit_code"], flush=True)
        if sys.argv[2] == "slow":
            until = time.monotonic() + 20
            while records.latest(store, "build")["exit_code"] is None and time.monotonic() < until:
                time.sleep(0.02)
            print("noted", flush=True)
            time.sleep(60)
"""


@pytest.mark.parametrize("cleaning", ["quick", "slow"])
def test_command_that_is_told_to_end_leaves_no_end(tmp_path: Path, cleaning: str) -> None:
    """Slurm, systemd and Kubernetes kill what does not end in time after SIGTERM: the record must not wait for it."""
    arguments = [sys.executable, "-c", TERMINATED, str(tmp_path), cleaning]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        process.send_signal(signal.SIGTERM)
        process.stdout.readline()
        if cleaning == "slow":
            assert process.stdout.readline() == "noted\n"
            process.kill()
        assert process.wait(30) == (-signal.SIGKILL if cleaning == "slow" else 143)
    found = read(DirectoryStore(tmp_path), "build")
    assert (found["exit_code"], [each["code"] for each in found["problems"]]) == (143, ["run-terminated"])
    assert found["ended"] is not None


def test_store_that_takes_no_record_changes_how_a_build_ends(toy: Scheduled, monkeypatch: pytest.MonkeyPatch) -> None:
    put = DirectoryStore.put

    def refusing(self: DirectoryStore, key: str, data: bytes | memoryview, *, immutable: bool = True) -> None:
        if key.startswith("runs/"):
            raise StoreError(Problem("store-full", "no space left", key))
        put(self, key, data, immutable=immutable)

    monkeypatch.setattr(DirectoryStore, "put", refusing)
    result = toy.cube("build")
    assert result.exit_code == 0
    assert "the record of this run was not written" in result.stderr
    assert not (toy.folder / "cube/runs").exists()
    assert json.loads(toy.cube("build", "--json").stdout)["current"] == ["rain", "dry"]
    toy.write(broken=850, days=900)
    assert toy.cube("run", "build").exit_code == 3


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 1}', "\x00"])
def test_damaged_record_breaks_a_build_or_a_list(toy: Scheduled, text: str) -> None:
    folder = toy.folder / "cube/runs"
    folder.mkdir(parents=True)
    for name in ("latest-build", "watch", "2026-11-22T02-30-00Z-build-1a2b", "something-else"):
        (folder / f"{name}.json").write_text(text)
    assert toy.cube("build").exit_code == 0
    assert toy.cube("status").exit_code == 0
    listed = json.loads(toy.cube("runs", "--json").stdout)
    assert [each["exit_code"] for each in listed] == [0]


def test_run_that_ends_hides_one_that_began_after_it(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    early = datetime.datetime(2026, 11, 22, 2, 30, tzinfo=datetime.UTC)
    long = Run(store, "build", "schedule", "cube run build", "local", started=early)
    long.save()
    late = Run(store, "build", "hand", "cube build", "local", started=early + datetime.timedelta(hours=1))
    late.end(7)
    late.save()
    long.end(0)
    long.save()
    assert read(store, "build")["id"] == late.id
    assert [each["exit_code"] for each in records.history(store)] == [7, 0]


def test_last_scheduled_run_is_forgotten_after_one_by_hand(toy: Scheduled) -> None:
    assert toy.cube("run", "build").exit_code == 0
    scheduled = toy.latest()
    assert (scheduled["by"], scheduled["scheduled"]) == ("schedule", scheduled["started"])
    for _ in range(2):
        assert toy.cube("build").exit_code == 0
    assert (toy.latest()["by"], toy.latest()["scheduled"]) == ("hand", scheduled["started"])


def record(started: str, entry: str = "build", code: int | None = 0, **other: Any) -> dict[str, Any]:
    found = {
        "id": f"{started.replace(':', '-')}-{entry}-1a2b",
        "entry": entry,
        "by": "schedule",
        "started": started,
        "ended": None if code is None else started,
        "exit_code": code,
        "seconds": None if code is None else 90.0,
        "scheduled": started,
        "outcome": {},
        "problems": [],
    }
    return {**found, **other}


def test_history_is_out_of_order_or_shows_the_watch(toy: Scheduled) -> None:
    for day in (3, 1, 2):
        toy.put(record(f"2026-11-0{day}T02:30:00Z"))
        toy.put(record(f"2026-11-0{day}T04:15:00Z", "watch"))
    toy.put(record("2026-11-02T05:30:00Z", "verify", 6, outcome={"share": [2, 7], "damaged": ["rain"]}))
    listed = json.loads(toy.cube("runs", "--json").stdout)
    assert [(each["entry"], each["started"][8:10]) for each in listed] == [
        ("build", "03"),
        ("verify", "02"),
        ("build", "02"),
        ("build", "01"),
    ]
    assert len(json.loads(toy.cube("runs", "build", "--last", "2", "--json").stdout)) == 2
    assert len(json.loads(toy.cube("runs", "watch", "--json").stdout)) == 3
    toy.put(record("2026-11-04T02:30:00Z", code=None, process=17, host="node1"))
    shown = toy.cube("runs").output
    assert "1 damaged, part 2 of 7" in shown
    assert "6: the store does not hold what it advertises" in shown
    assert "2026-11-04T02-30-00Z-build-1a2b: has not ended; process 17 on node1" in shown
    assert "90 s" in shown


def test_gc_deletes_young_records_or_keeps_old_ones(toy: Scheduled) -> None:
    assert toy.cube("build").exit_code == 0
    toy.put(record("2026-01-01T02:30:00Z"), latest=False)
    folder = toy.folder / "cube/runs"
    (folder / "2026-01-01T02-30-00Z-build-1a2b-report.html").write_text("<html>")
    (folder / "watch.json").write_text("{}")
    (folder / "2026-13-41T99-30-00Z-build-1a2b.json").write_text("{}")
    before = {path.name for path in folder.iterdir()}
    told = json.loads(toy.cube("gc", "--dry-run", "--json").stdout)
    assert [(each["why"], each["objects"]) for each in told["found"]] == [("old record", 2)]
    assert {path.name for path in folder.iterdir()} == before, "a look leaves no record either"
    assert toy.cube("gc", "--days", "0").exit_code == 0
    gone = before - {path.name for path in folder.iterdir()}
    assert gone == {"2026-01-01T02-30-00Z-build-1a2b.json", "2026-01-01T02-30-00Z-build-1a2b-report.html"}
    assert toy.latest("gc")["outcome"]["deleted"] == 1
    assert toy.latest("gc")["exit_code"] == 0


def test_gc_that_leaves_something_alone_is_recorded_as_done(toy: Scheduled) -> None:
    assert toy.cube("build").exit_code == 0
    (toy.folder / "cube/inputs/rain/state.json").write_text("{")
    assert toy.cube("run", "gc").exit_code == 6
    found = toy.latest("gc")
    assert (found["exit_code"], found["outcome"]["left"], found["by"]) == (6, ["rain"], "schedule")
    with hold(place_of_lock(toy.store())):
        assert toy.cube("gc").exit_code == 7
    assert (toy.latest("gc")["exit_code"], toy.latest("gc")["problems"][0]["code"]) == (7, "locked")


def dying(*_: object, **__: object) -> None:
    raise StoreError(Problem("store-away", "no answer"))


def test_verification_reads_a_part_twice_or_never(toy: Scheduled) -> None:
    toy.schedule = {"verify": {"cron": "30 5 * * *", "share": 3}}
    toy.write()
    assert toy.cube("build").exit_code == 0

    def part() -> Any:
        toy.cube("run", "verify")
        return toy.latest("verify")["outcome"]["share"]

    assert [part() for _ in range(4)] == [[1, 3], [2, 3], [3, 3], [1, 3]]
    died = {**toy.latest("verify"), "exit_code": None, "ended": None}
    toy.put(died)
    assert part() == [1, 3], "a part that was not read to its end is read again"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batch.upkeep.verify", dying)
        assert toy.cube("run", "verify").exit_code == 5
    assert toy.latest("verify")["outcome"]["share"] == [2, 3]
    assert part() == [2, 3]
    assert toy.cube("verify", "--deep").exit_code == 0
    assert part() == [3, 3], "by hand is not in turn"
    toy.schedule["verify"]["share"] = 2
    toy.write()
    assert part() == [1, 2]


def test_damage_found_at_night_is_not_recorded(toy: Scheduled) -> None:
    toy.schedule = {"verify": {"cron": "30 5 * * *", "share": 1}}
    toy.write()
    assert toy.cube("build").exit_code == 0
    shard = next((toy.folder / "cube/inputs/rain").glob("*/time.zarr/pr/c/1/0/0"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    assert toy.cube("run", "verify").exit_code == 6
    found = toy.latest("verify")
    assert (found["outcome"]["damaged"], found["outcome"]["proven"]) == (["rain"], ["dry"])
    assert any("pr/c/1/0/0" in each["where"] + each["what"] for each in found["problems"])


def test_verification_by_hand_writes_to_the_store(toy: Scheduled) -> None:
    toy.cube("build")
    before = stored(DirectoryStore(toy.folder / "cube"))
    assert toy.cube("verify").exit_code == 0
    assert stored(DirectoryStore(toy.folder / "cube")) == before


def test_status_hides_how_old_data_are_and_when_they_were_looked_after(toy: Scheduled) -> None:
    never = json.loads(toy.cube("status", "--json").stdout)
    assert [(row["last_run"], row["age_days"]) for row in never] == [(None, None)] * 2
    # 800 days from 1970-01-01; the metric is of whole years, the last of which ends with 1971.
    toy.cube("run", "build")
    today = datetime.datetime.now(datetime.UTC).date()
    rain, dry = json.loads(toy.cube("status", "--json").stdout)
    assert rain["age_days"] == (today - datetime.date(1972, 3, 10)).days
    assert dry["age_days"] == (today - datetime.date(1971, 12, 31)).days
    assert rain["last_run"]["result"] == dry["last_run"]["result"] == "built"
    due = datetime.datetime.fromisoformat(rain["next_run"])
    assert (due.hour, due.minute) == (2, 30)
    assert datetime.timedelta() < due - datetime.datetime.now(datetime.UTC) <= datetime.timedelta(days=1)
    toy.write(days=900, broken=850)
    toy.cube("run", "build")
    rain, dry = json.loads(toy.cube("status", "--json").stdout)
    assert (rain["last_run"]["result"], dry["last_run"]["result"]) == ("failed", "waiting")
    assert rain["last_run"]["exit_code"] == 3
    shown = toy.cube("status").output
    assert "failed in the last build" in shown
    assert f"{rain['age_days']} d" in shown
    assert f"next run {due:%Y-%m-%dT%H:%M:%SZ}" in shown
    toy.write()
    toy.cube("build", "rain")
    rain, dry = json.loads(toy.cube("status", "--json").stdout)
    assert (rain["last_run"]["result"], dry["last_run"]["result"]) == ("current", None)


def test_product_that_ends_in_the_future_has_an_age(toy: Scheduled) -> None:
    days = (datetime.datetime.now(datetime.UTC).date() - datetime.date(1970, 1, 1)).days
    toy.write(days=365, first=days - 100)
    assert toy.cube("build", "rain").exit_code == 0
    (rain,) = json.loads(toy.cube("status", "rain", "--json").stdout)
    assert rain["age_days"] is None
    toy.write(days=365, first=days - 365)
    assert toy.cube("build", "rain", "--allow-retraction").exit_code == 0
    (rain,) = json.loads(toy.cube("status", "rain", "--json").stdout)
    assert rain["age_days"] == 1, "yesterday is the last day that is covered"


def test_environment_of_runs_is_open_to_others_or_not_heeded(
    toy: Scheduled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.schedule["environment"] = "cube.env"
    toy.write()
    assert toy.cube("run", "gc").exit_code == 0, "on another machine variables may come another way"
    file = tmp_path / "cube.env"
    file.write_text("# secrets\n\nexport TOY_ONE='a b'\nTOY_TWO=c=d \nTOY_SET=from-file\n")
    file.chmod(0o640)
    result = toy.cube("run", "gc")
    assert result.exit_code == 2
    assert "chmod 600" in result.stderr
    file.chmod(0o600)
    for name in ("TOY_ONE", "TOY_TWO"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("TOY_SET", "from outside")
    assert toy.cube("run", "gc").exit_code == 0
    assert (os.environ["TOY_ONE"], os.environ["TOY_TWO"], os.environ["TOY_SET"]) == ("a b", "c=d", "from outside")
    assert "a b" not in json.dumps(toy.latest("gc"))
    file.write_text("s3cr3t with spaces\n")
    result = toy.cube("run", "gc")
    assert result.exit_code == 2
    assert "cube.env:1" in result.stderr
    assert "s3cr3t" not in result.output


def test_path_that_cron_sets_hides_that_of_the_environment_file(
    toy: Scheduled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.schedule["environment"] = "cube.env"
    toy.write()
    file = tmp_path / "cube.env"
    file.touch(0o600)
    for value in ("/opt/slurm/bin:/usr/bin:/bin", "/opt/slurm/bin:$PATH", "'/opt/slurm/bin:${PATH}'"):
        monkeypatch.setenv("PATH", "/venv/bin:/usr/bin:/bin")
        file.write_text(f"PATH={value}\n")
        for _ in range(2):
            assert toy.cube("run", "gc").exit_code == 0
            assert os.environ["PATH"] == "/opt/slurm/bin:/venv/bin:/usr/bin:/bin"


@pytest.mark.s3
def test_records_on_an_object_store_cannot_be_read_back(s3_url: str, s3_server: S3Server) -> None:
    store = open_store(s3_url, Storage(endpoint_url=s3_server.endpoint_url))
    assert records.latest(store, "build") is None
    for code in (3, 0):
        with pytest.raises(SystemExit), records.recorded(store, "build", command="cube build", cluster="local"):
            raise SystemExit(code)
    latest = records.latest(store, "build")
    assert latest is not None
    assert latest["exit_code"] == 0
    assert [each["exit_code"] for each in records.history(store, "build")] == [0, 3]


def test_nights_cannot_be_told_apart_in_a_log(toy: Scheduled) -> None:
    toy.write(broken=1)
    lines = toy.cube("run", "build").stderr.splitlines()
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.fullmatch(rf"{time} build begins: run {toy.latest()['id']}", lines[0])
    assert re.fullmatch(rf"{time} build ended with exit code 3: run {toy.latest()['id']}", lines[-1])
    assert len(lines) > 2


def test_lines_of_a_scheduled_build_are_no_json(toy: Scheduled) -> None:
    result = toy.cube("run", "build", "--log-json")
    assert result.exit_code == 0
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert "published" in [each["event"] for each in events]
    assert {each["run"] for each in events} == {toy.latest()["id"]}
    assert toy.latest()["command"] == f"cube run build --spec {toy.spec_path} --log-json"
    assert toy.cube("run", "gc", "--log-json").exit_code == 2


def test_fault_of_a_verification_is_not_in_its_record(toy: Scheduled, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.schedule = {"verify": {"cron": "30 5 * * *"}}
    toy.write()
    assert toy.cube("build").exit_code == 0
    monkeypatch.setattr("batch.upkeep.verify", dying)
    result = toy.cube("run", "verify")
    assert (result.exit_code, "[store-away]" in result.stderr) == (5, True)
    assert [each["code"] for each in toy.latest("verify")["problems"]] == ["store-away"]


def test_status_says_nothing_is_scheduled_after_a_scheduled_run(toy: Scheduled) -> None:
    toy.schedule = {"gc": {"cron": "30 5 * * *"}}
    toy.write()
    assert toy.cube("run", "build").exit_code == 0
    shown = toy.cube("status").output
    assert "by schedule: done" in shown
    assert "the specification schedules no build" in shown


def test_help_hides_an_exit_code_or_a_command() -> None:
    text = CliRunner().invoke(main, ["run", "--help"]).output
    assert "[build|verify|gc|watch]" in text or "{build|verify|gc|watch}" in text
    assert "9  a scheduled run was missed, hangs, died, or failed and told nobody" in text
