"""The watch: runs that were missed, hang or died without a word are found and told of once."""

from __future__ import annotations

import datetime
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batch import jobs
from batch.runs import notifying, overdue
from batch.runs.overdue import Trouble, watch
from cube.process import find, machine
from tests.batch.scheduled import Receiver, Scheduled, receiving
from tests.batch.toy import Toy, ToyOptions

DAY = datetime.timedelta(days=1)
HOUR = datetime.timedelta(hours=1)
NOON = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)
DUE = datetime.datetime(2026, 11, 21, 2, 30, tzinfo=datetime.UTC)


def text(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(notifying, "PAUSE_SECONDS", 0.0)
    with receiving() as found:
        monkeypatch.setenv("CUBE_WEBHOOK", found.address)
        yield found


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> Scheduled:
    """Watched since noon of the day before the first build is due, at 02:30; a build may take eight hours."""
    monkeypatch.setitem(jobs.JOBS, "toy", Toy)
    monkeypatch.setitem(jobs.OPTIONS, "toy", ToyOptions)
    made = Scheduled(
        tmp_path,
        {
            "build": {"cron": "30 2 * * *", "limit": "8 h"},
            "watch": {"cron": "15 * * * *", "tolerance": "1 h"},
            "notify": {"webhook": "CUBE_WEBHOOK"},
        },
    )
    assert look(made, NOON) == []
    return made


def look(toy: Scheduled, now: datetime.datetime) -> list[Trouble]:
    return watch(toy.spec(), toy.store(), now)[0]


def causes(toy: Scheduled, now: datetime.datetime) -> list[str]:
    return [each.cause for each in look(toy, now)]


def ran(started: datetime.datetime, code: int | None = 0, digits: str = "1a2b", **other: Any) -> dict[str, Any]:
    return {
        "id": f"{text(started).replace(':', '-')}-build-{digits}",
        "entry": "build",
        "by": "schedule",
        "started": text(started),
        "scheduled": text(started),
        "ended": None if code is None else text(started + HOUR),
        "exit_code": code,
        "host": "elsewhere",
        "process": 4711,
        "process_started": 1,
        "machine": "another-boot pid:[1]",
        "problems": [],
        "notified": [],
        "outcome": {},
        **other,
    }


TOLD = [{"event": "failed", "way": "webhook CUBE_WEBHOOK", "sent": True}]
MISSED = "missed build 2026-11-21T02:30:00Z"


def test_missed_run_is_not_told_or_told_twice(toy: Scheduled, receiver: Receiver) -> None:
    assert causes(toy, DUE + HOUR - datetime.timedelta(minutes=1)) == [], "it may be a little late"
    for hour in (2, 3, 4):
        assert causes(toy, DUE + hour * HOUR) == [MISSED]
    (got,) = receiver.got
    assert (got["event"], got["entry"], got["run"], got["exit_code"]) == ("missed", "build", None, None)
    assert "should have begun at 2026-11-21T02:30:00Z and did not (no scheduled one ever began)" in got["text"]
    assert "Readers see what was published before" in got["text"]
    assert f"cube run build --spec {toy.spec_path}" in got["text"]
    toy.put(ran(DUE + 5 * HOUR))
    assert causes(toy, DUE + 6 * HOUR) == [], "a late run makes up for it"
    assert causes(toy, DUE + DAY + 2 * HOUR) == ["missed build 2026-11-22T02:30:00Z"]
    assert len(receiver.got) == 2
    assert "the last scheduled one began at 2026-11-21T07:30:00Z" in receiver.got[1]["text"]


def test_run_that_began_in_time_is_missed(toy: Scheduled) -> None:
    for early in (datetime.timedelta(), datetime.timedelta(seconds=-30), datetime.timedelta(minutes=50)):
        toy.put(ran(DUE + early))
        assert causes(toy, DUE + 20 * HOUR) == []
    assert causes(toy, DUE + DAY + 2 * HOUR) == ["missed build 2026-11-22T02:30:00Z"]


def test_build_by_hand_hides_that_the_scheduler_is_broken(toy: Scheduled) -> None:
    toy.put(ran(DUE))
    toy.put(ran(DUE + DAY + HOUR, by="hand", scheduled=text(DUE)))
    assert causes(toy, DUE + DAY + 2 * HOUR) == ["missed build 2026-11-22T02:30:00Z"]


def test_run_that_was_due_before_the_schedule_was_there_is_missed(toy: Scheduled) -> None:
    toy.schedule["build"]["cron"] = "0 9 * * *"
    toy.write()
    assert causes(toy, DUE + 10 * HOUR) == []
    assert causes(toy, DUE + 25 * HOUR) == []
    assert causes(toy, DUE + 35 * HOUR) == ["missed build 2026-11-22T09:00:00Z"]


def test_hanging_run_is_not_told_or_told_twice(toy: Scheduled, receiver: Receiver) -> None:
    run = ran(DUE, None)
    toy.put(run)
    assert causes(toy, DUE + 7 * HOUR) == []
    assert causes(toy, DUE + 9 * HOUR) == causes(toy, DUE + 10 * HOUR) == [f"overrun {run['id']}"]
    assert [(each["event"], each["run"]) for each in receiver.got] == [("overrun", run["id"])]
    assert causes(toy, DUE + 17 * HOUR) == [f"died {run['id']}"]
    assert [each["event"] for each in receiver.got] == ["overrun", "died"]
    assert "nothing was heard of it for more than twice its limit of 8 h" in receiver.got[1]["text"]


def test_overrun_that_the_run_told_itself_is_told_again(toy: Scheduled, receiver: Receiver) -> None:
    notified = {"event": "overrun", "way": "webhook CUBE_WEBHOOK", "sent": True}
    toy.put(ran(DUE, None, notified=[notified]))
    assert causes(toy, DUE + 9 * HOUR) == []
    toy.put(ran(DUE, None, notified=[{**notified, "sent": False}]))
    assert len(causes(toy, DUE + 9 * HOUR)) == 1
    assert len(receiver.got) == 1


def test_dead_run_hangs(toy: Scheduled, receiver: Receiver) -> None:
    """A process that was killed is found at once where the watch runs on its machine, whatever the limit."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        found = find(process.pid)
        assert found is not None
        here = {"host": socket.gethostname(), "machine": machine(), "process": process.pid, "process_started": found[1]}
        toy.put(ran(DUE, None, **here))
        assert causes(toy, DUE + HOUR) == []
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        (zombie,) = look(toy, DUE + HOUR)
        assert zombie.problem.code == "run-died"
    assert causes(toy, DUE + HOUR) == [f"died {ran(DUE)['id']}"]
    assert len(receiver.got) == 1
    assert f"its process {process.pid} on {socket.gethostname()} is gone" in receiver.got[0]["text"]


def test_number_of_a_dead_process_that_another_has_now_keeps_a_run_alive(toy: Scheduled) -> None:
    found = find(os.getppid())
    assert found is not None
    here = {"host": socket.gethostname(), "machine": machine(), "process": os.getppid()}
    toy.put(ran(DUE, None, **here, process_started=found[1]))
    assert causes(toy, DUE + HOUR) == []
    toy.put(ran(DUE, None, **here, process_started=found[1] - 1))
    assert causes(toy, DUE + HOUR) == [f"died {ran(DUE)['id']}"]


def test_run_of_a_machine_that_was_started_anew_is_at_work(toy: Scheduled) -> None:
    toy.put(ran(DUE, None, host=socket.gethostname()))
    (trouble,) = look(toy, DUE + HOUR)
    assert "was started anew since" in trouble.problem.what


def test_run_of_another_machine_is_taken_for_dead_at_once(toy: Scheduled) -> None:
    toy.put(ran(DUE, None))
    assert causes(toy, DUE + HOUR) == []


def test_trouble_that_is_over_stands_for_ever(toy: Scheduled) -> None:
    toy.put(ran(DUE - 3 * DAY, None))
    assert len(causes(toy, NOON + HOUR)) == 1
    toy.put(ran(DUE - 2 * DAY, 3, notified=TOLD))
    assert len(causes(toy, NOON + HOUR)) == 1, "a run that failed makes nothing good"
    toy.put(ran(DUE - DAY, 0))
    assert causes(toy, NOON + HOUR) == []


def test_dead_run_behind_one_that_was_skipped_is_overlooked(toy: Scheduled) -> None:
    toy.put(ran(DUE, None))
    toy.put(ran(DUE + DAY, 7, notified=TOLD))
    assert causes(toy, DUE + DAY + HOUR) == [f"died {ran(DUE)['id']}"]


def test_run_by_hand_is_watched(toy: Scheduled) -> None:
    toy.put(ran(DUE, None, by="hand"), latest=False)
    toy.put(ran(DUE + 2 * HOUR, 3, notified=TOLD))
    assert causes(toy, DUE + 20 * HOUR) == []


def test_trouble_that_reached_nobody_is_not_told_again(
    toy: Scheduled, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers = [500, 500, 500]
    for hour in (2, 3, 4):
        assert causes(toy, DUE + hour * HOUR) == [MISSED]
    assert [each["event"] for each in receiver.got] == ["missed"] * 4


def test_failure_that_reached_nobody_stays_unknown(toy: Scheduled, receiver: Receiver) -> None:
    """Nodes of a cluster may have no way out; the watch runs elsewhere."""
    toy.put(ran(DUE, 3, outcome={"failed": {"rain": {"exit_code": 3, "codes": ["time-gap"]}}}))
    assert causes(toy, DUE + HOUR + datetime.timedelta(minutes=5)) == [], "it may be telling people just now"
    for hour in (2, 3):
        assert causes(toy, DUE + hour * HOUR) == [f"failed {ran(DUE)['id']}"]
    (got,) = receiver.got
    assert (got["event"], got["exit_code"]) == ("failed", 3)
    assert "rain: nothing of it is published." in got["text"]
    toy.put(ran(DUE, 3, notified=[{**TOLD[0], "sent": False}, *TOLD]))
    assert causes(toy, DUE + 4 * HOUR) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"since": 1, "told": {}}'])
def test_damaged_memory_breaks_the_watch(toy: Scheduled, text: str) -> None:
    (toy.folder / "cube/runs/watch.json").write_text(text)
    assert causes(toy, DUE + 2 * HOUR) == []
    assert causes(toy, DUE + DAY + 2 * HOUR) == ["missed build 2026-11-22T02:30:00Z"]


def test_watch_ends_well_or_says_nothing_while_trouble_stands(toy: Scheduled, receiver: Receiver) -> None:
    memory = toy.folder / "cube/runs/watch.json"
    memory.unlink()
    assert toy.cube("run", "watch").exit_code == 0
    now = datetime.datetime.now(datetime.UTC)
    since = {"build": {"cron": "30 2 * * *", "time": text(now - 3 * DAY)}}
    memory.write_text(json.dumps({"since": since, "told": {}}))
    for again in (False, True):
        result = toy.cube("run", "watch")
        assert result.exit_code == 9
        # cron mails what is on standard error.
        assert "[run-missed]" in (result.stdout if again else result.stderr)
        assert ("[run-missed]" in result.stderr) is not again
    assert [each["event"] for each in receiver.got] == ["missed"], "nor is the watch told of as a run that failed"
    found = toy.latest("watch")
    assert (found["exit_code"], found["problems"][0]["code"]) == (9, "run-missed")
    assert [each[:12] for each in found["outcome"]["missed"]] == ["missed build"]
    assert toy.cube("run", "build").exit_code == 0
    assert toy.cube("run", "watch").exit_code == 0
    assert json.loads(memory.read_text())["told"] == {}


def test_missed_run_is_overlooked_where_the_tolerance_exceeds_the_interval(toy: Scheduled) -> None:
    toy.schedule["build"] = {"cron": "0,30 * * * *"}
    toy.schedule["watch"]["tolerance"] = "90 min"
    toy.write()
    assert look(toy, NOON) == []
    toy.put(ran(NOON + 2 * HOUR))
    # The run of 14:30 never began; it may be 90 minutes late, so until 16:00 nothing is certain.
    assert causes(toy, NOON + 3 * HOUR + datetime.timedelta(minutes=59)) == []
    assert causes(toy, NOON + 4 * HOUR + datetime.timedelta(minutes=1)) == ["missed build 2026-11-20T14:30:00Z"]
    assert causes(toy, NOON + 5 * HOUR) == ["missed build 2026-11-20T15:00:00Z"]
    toy.put(ran(NOON + 5 * HOUR))
    assert causes(toy, NOON + 6 * HOUR) == []


def test_failure_that_was_told_reads_as_if_all_were_well(toy: Scheduled, receiver: Receiver) -> None:
    toy.write(broken=1)
    assert toy.cube("run", "build").exit_code == 3
    result = toy.cube("run", "watch")
    assert result.exit_code == 0, "it was told"
    assert "as they should" not in result.stdout
    assert "no failure is untold" in result.stdout
    code = toy.latest()["problems"][0]["code"]
    assert f"the last build ({toy.latest()['id']}) ended with exit code 3: input files" in result.stdout
    assert f"[{code}]" in result.stdout
    del toy.schedule["notify"]
    toy.write(broken=1)
    assert "nobody is told of failures" in toy.cube("run", "watch").stdout
    toy.write()
    assert toy.cube("run", "build").exit_code == 0
    assert "all scheduled runs began and ended as they should" in toy.cube("run", "watch").stdout


def test_watch_that_finds_nothing_writes_what_cron_would_mail(toy: Scheduled) -> None:
    assert toy.cube("run", "build").exit_code == 0
    assert toy.cube("run", "watch").stderr == ""


def test_run_that_died_looks_as_if_it_were_at_work(toy: Scheduled) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        started = find(process.pid)
        process.wait()
    here = {"host": socket.gethostname(), "machine": machine(), "process": process.pid}
    toy.put(ran(DUE, None, **here, process_started=started[1] if started else 1))
    toy.put(ran(DUE + DAY, None, "5c6d", by="hand"))
    shown = toy.cube("runs").stdout
    gone = f"died: its process {process.pid} on {socket.gethostname()} is gone"
    assert f"{ran(DUE)['id']}: {gone}" in shown
    assert [line.split()[-1] for line in shown.splitlines() if " build " in line] == ["died", "died"], "8 h limit"
    toy.put(ran(datetime.datetime.now(datetime.UTC), None, "7e8f"))
    (line,) = [line for line in toy.cube("runs").stdout.splitlines() if "7e8f  build" in line]
    assert line.rstrip().endswith("not ended")


def test_watch_without_a_schedule_is_content(toy: Scheduled) -> None:
    toy.spec_path.write_text(
        "title: Toy cube\nstore: ./cube\nmemory: 2 GiB\ncluster: {kind: local, workers: 0}\n"
        "products: {rain: {job: toy, collection: inputs, layout: {segment: 1 years}, days: 800}}\n"
    )
    result = toy.cube("run", "watch")
    assert result.exit_code == 2
    assert "[schedule-none]" in result.stderr
    assert toy.cube("run", "build").exit_code == 0, "a build that another scheduler starts needs no times"


def test_record_of_a_clock_far_ahead_silences_the_watch(toy: Scheduled) -> None:
    toy.put(ran(datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)))
    assert causes(toy, DUE + 2 * HOUR) == [MISSED]


def test_record_of_a_clock_far_ahead_stays_the_latest(toy: Scheduled) -> None:
    toy.put(ran(datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)))
    assert toy.cube("run", "build").exit_code == 0
    assert toy.latest()["started"] < "2099"


@pytest.mark.parametrize(("state", "dead"), [("CANCELLED", True), ("TIMEOUT", True), ("RUNNING", False), (None, False)])
def test_driver_whose_job_has_ended_counts_as_at_work(
    toy: Scheduled, monkeypatch: pytest.MonkeyPatch, state: str | None, dead: bool
) -> None:
    monkeypatch.setattr(overdue, "job_state", {"77": state}.get)
    toy.put(ran(DUE, None, slurm_job="77"))
    found = causes(toy, DUE + HOUR)
    assert found == ([f"died {ran(DUE)['id']}"] if dead else [])


def test_addresses_of_people_are_public(toy: Scheduled) -> None:
    toy.schedule["notify"]["mail"] = {"to": ["ops@example.org"], "command": ["false"]}
    toy.write(broken=3)
    assert toy.cube("run", "build").exit_code
    record = toy.latest()
    assert {each["way"] for each in record["notified"]} == {"mail", "webhook CUBE_WEBHOOK"}
    assert "ops@example.org" not in json.dumps(record)
