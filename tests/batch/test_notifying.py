"""Telling people of runs: what arrives, by real receivers, and what happens where nothing does."""

from __future__ import annotations

import email
import email.policy
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
from aiosmtpd.controller import Controller

from batch import jobs
from batch.runs import notifying, records
from batch.runs.notifying import Message, notify
from batch.schedule.options import Notify
from cube.errors import Problem
from cube.lock import hold, place_of_lock
from tests.batch.scheduled import SECRET, Receiver, Scheduled, receiving
from tests.batch.toy import Toy, ToyOptions

MESSAGE = Message(
    "toy", "build", "failed", "2026-11-22T02-30-00Z-build-1a2b", 3, "[Ernte] build failed", "Können warten."
)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(notifying, "PAUSE_SECONDS", 0.01)
    with receiving() as found:
        monkeypatch.setenv("CUBE_WEBHOOK", found.address)
        yield found


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scheduled:
    monkeypatch.setitem(jobs.JOBS, "toy", Toy)
    monkeypatch.setitem(jobs.OPTIONS, "toy", ToyOptions)
    return Scheduled(tmp_path, {"build": {"cron": "30 2 * * *"}, "notify": {"webhook": "CUBE_WEBHOOK"}})


class Mailbox:
    """Keeps what a mail server is handed."""

    def __init__(self) -> None:
        self.got: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.got.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 taken"


class AnyPort(Controller):
    """Listens on a port that is free."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def mailbox(unavailable: Callable[[str], NoReturn]) -> Iterator[tuple[Mailbox, int]]:
    if shutil.which("curl") is None:
        unavailable("apt-get install curl")
    box = Mailbox()
    controller = AnyPort(box, hostname="127.0.0.1", port=0)
    controller.start()
    yield box, controller.port
    controller.stop()


def by_webhook() -> Notify:
    return Notify.model_validate({"webhook": "CUBE_WEBHOOK"})


def test_posted_document_lacks_a_key(receiver: Receiver) -> None:
    (sent,) = notify(by_webhook(), MESSAGE)
    assert (sent["sent"], sent["event"], sent["way"]) == (True, "failed", "webhook CUBE_WEBHOOK")
    assert receiver.got == [
        {
            "cube": "toy",
            "entry": "build",
            "event": "failed",
            "run": "2026-11-22T02-30-00Z-build-1a2b",
            "exit_code": 3,
            "title": "[Ernte] build failed",
            "text": "Können warten.",
            "problems": [],
        }
    ]


@pytest.mark.parametrize(
    ("answers", "tries", "sent"),
    [([503, 429], 3, True), ([500, 500, 500], 3, False), ([404], 1, False), ([302], 1, False)],
)
def test_server_that_refuses_is_asked_too_often_or_given_up(
    receiver: Receiver, answers: list[int], tries: int, sent: bool
) -> None:
    receiver.answers = list(answers)
    (result,) = notify(by_webhook(), MESSAGE)
    assert (len(receiver.got), result["sent"]) == (tries, sent)
    assert result["why"] == ("" if sent else f"answered {answers[-1]}")
    assert all(SECRET in path for path in receiver.paths), "a redirection is not followed"


def test_address_of_a_webhook_is_shown_when_it_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(notifying, "PAUSE_SECONDS", 0.0)
    reasons = []
    for address in (
        f"http://127.0.0.1:9/{SECRET}",
        f"http://{SECRET}.invalid/",
        f"ftp://127.0.0.1/{SECRET}",
        f"no address {SECRET}",
        f"http://[{SECRET}",
        "",
    ):
        monkeypatch.setenv("CUBE_WEBHOOK", address)
        (sent,) = notify(by_webhook(), MESSAGE)
        assert not sent["sent"]
        reasons.append(sent["why"])
    said = capsys.readouterr().err
    assert SECRET not in said + "".join(reasons)
    assert said.count("CUBE_WEBHOOK") >= 6
    assert all(reasons)


def test_mail_does_not_reach_a_mail_server(mailbox: tuple[Mailbox, int], tmp_path: Path) -> None:
    box, port = mailbox
    command = ["curl", "--silent", "--show-error", "--crlf", "--url", f"smtp://127.0.0.1:{port}"]
    command += ["--mail-from", "cube@example.org", "--mail-rcpt", "ops@example.org", "--upload-file", "-"]
    given = {"mail": {"to": ["ops@example.org", "b@example.org"], "sender": "cube@example.org", "command": command}}
    problem = {"code": "time-gap", "what": "1 step missing", "where": "rain", "danger": "", "fix": "give gaps"}
    (sent,) = notify(Notify.model_validate(given), Message(**{**vars(MESSAGE), "problems": [problem]}))
    assert sent["sent"], sent
    ((sender, to, content),) = box.got
    letter = cast(EmailMessage, email.message_from_bytes(content, policy=email.policy.default))
    assert (sender, to) == ("cube@example.org", ["ops@example.org"])
    assert letter["From"] == "cube@example.org"
    assert letter["To"] == "ops@example.org, b@example.org"
    assert letter["Subject"] == "[Ernte] build failed"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Date"].datetime.year >= 2026
    assert letter.get_content().replace("\r\n", "\n") == (
        "Können warten.\n\nrain: 1 step missing [time-gap]\n    fix: give gaps\n"
    )


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["no-such-command-here"], "there is no command no-such-command-here"),
        (["sh", "-c", "echo first >&2; echo no route >&2; exit 75"], "exit code 75: no route"),
        (["sh", "-c", "exec sleep 60"], "the command took longer than"),
    ],
)
def test_mail_that_cannot_be_sent_holds_up_or_breaks_a_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str], why: str
) -> None:
    monkeypatch.setattr(notifying, "MAIL_SECONDS", 0.5)
    given = {"mail": {"to": ["ops@example.org"], "command": command}}
    (sent,) = notify(Notify.model_validate(given), MESSAGE)
    assert not sent["sent"]
    assert sent["why"].startswith(why)
    assert f"failed was not told by mail to ops@example.org: {why}" in capsys.readouterr().err


def test_one_way_that_fails_closes_the_other(receiver: Receiver) -> None:
    given = {"webhook": "CUBE_WEBHOOK", "mail": {"to": ["a@b"], "command": ["false"]}}
    assert [each["sent"] for each in notify(Notify.model_validate(given), MESSAGE)] == [True, False]


def test_failure_does_not_say_what_readers_see_or_what_to_do(toy: Scheduled, receiver: Receiver) -> None:
    assert toy.cube("run", "build").exit_code == 0
    assert receiver.got == [], "a run that ends well is told of to nobody"
    toy.write(days=900, broken=850)
    assert toy.cube("run", "build").exit_code == 3
    (got,) = receiver.got
    assert (got["cube"], got["event"], got["exit_code"]) == ("toy-cube", "failed", 3)
    assert got["run"] == toy.latest()["id"]
    assert got["title"] == "[Toy cube] build failed: input files or products are refused"
    assert "to 1972-03-10 is still published and unharmed" in got["text"]
    assert "Not tried, for what they are made from failed: dry." in got["text"]
    assert "It can wait" in got["text"]
    assert f"cube run build --spec {toy.spec_path}" in got["text"]
    assert got["problems"][0]["code"] == "input-moved"
    (noted,) = toy.latest()["notified"]
    assert (noted["event"], noted["sent"]) == ("failed", True)
    assert SECRET not in json.dumps(toy.latest())


def test_damage_is_told_as_if_it_could_wait(toy: Scheduled, receiver: Receiver) -> None:
    toy.schedule["verify"] = {"cron": "30 5 * * *", "share": 1}
    toy.write()
    assert toy.cube("build").exit_code == 0
    shard = next((toy.folder / "cube/inputs/rain").glob("*/time.zarr/pr/c/1/0/0"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    assert toy.cube("run", "verify").exit_code == 6
    (got,) = receiver.got
    assert (got["entry"], got["event"], got["exit_code"]) == ("verify", "failed", 6)
    assert "What readers find of rain is damaged. It cannot wait" in got["text"]
    assert f"`cube build --spec {toy.spec_path} --repair`" in got["text"]


def test_run_that_finds_another_at_work_is_called_a_failure(toy: Scheduled, receiver: Receiver) -> None:
    with hold(place_of_lock(toy.store())):
        assert toy.cube("run", "build").exit_code == 7
    (got,) = receiver.got
    assert (got["event"], got["exit_code"]) == ("skipped", 7)
    assert "still at work" in got["title"]
    assert toy.latest()["notified"][0]["event"] == "skipped"


def test_receiver_that_is_away_changes_the_exit_code(toy: Scheduled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("CUBE_WEBHOOK", f"http://127.0.0.1:9/{SECRET}")
    toy.write(broken=1)
    result = toy.cube("run", "build")
    assert result.exit_code == 3
    assert "failed was not told by webhook CUBE_WEBHOOK" in result.stderr
    assert SECRET not in result.output
    (noted,) = toy.latest()["notified"]
    assert (noted["sent"], bool(noted["why"])) == (False, True)


def test_fault_while_the_message_is_made_changes_the_exit_code(
    toy: Scheduled, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Message:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("batch.runs.telling.ended", broken)
    toy.write(broken=1)
    result = toy.cube("run", "build")
    assert result.exit_code == 3
    assert "nobody was told: RuntimeError" in result.stderr


def test_run_that_takes_too_long_is_told_when_it_has_ended(
    toy: Scheduled, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.schedule["build"]["limit"] = "0.2 s"
    toy.write()
    compute = Toy.compute
    seen: list[Any] = []

    def slow(self: Toy, *arguments: Any) -> Any:
        until = time.monotonic() + 20
        while not toy.latest()["notified"] and time.monotonic() < until:
            time.sleep(0.02)
        seen.append((list(receiver.got), toy.latest()))
        return compute(self, *arguments)

    monkeypatch.setattr(Toy, "compute", slow)
    assert toy.cube("run", "build").exit_code == 0, "the run goes on"
    (got,), during = seen[0]
    assert (got["event"], got["exit_code"]) == ("overrun", None)
    assert "longer than its limit of 0.2 s and goes on" in got["text"]
    assert during["ended"] is None
    assert len(receiver.got) == 1
    assert [each["event"] for each in toy.latest()["notified"]] == ["overrun"]
    assert toy.latest()["exit_code"] == 0


@pytest.fixture
def letter(toy: Scheduled, tmp_path: Path) -> Path:
    """Where mails of the toy cube go, beside its webhook."""
    path = tmp_path / "letter"
    toy.schedule["notify"]["mail"] = {"to": ["ops@example.org"], "command": ["sh", "-c", 'cat >"$0"', str(path)]}
    toy.schedule["environment"] = "cube.env"
    toy.write()
    return path


def test_run_whose_environment_is_refused_tells_nobody(
    toy: Scheduled, letter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBE_WEBHOOK", raising=False)
    (tmp_path / "cube.env").write_text(f"CUBE_WEBHOOK=http://127.0.0.1:9/{SECRET}\n")
    (tmp_path / "cube.env").chmod(0o644)
    result = toy.cube("run", "build")
    assert (result.exit_code, "CUBE_WEBHOOK" in os.environ) == (2, False)
    text = email.message_from_bytes(letter.read_bytes(), policy=email.policy.default).get_content()
    assert "[schedule-environment]" in text
    assert f"fix: chmod 600 {tmp_path}/cube.env" in text
    found = toy.latest()
    assert (found["exit_code"], [each["code"] for each in found["problems"]]) == (2, ["schedule-environment"])
    assert [each["sent"] for each in found["notified"]] == [False, True]
    assert not (toy.folder / "cube/catalog.json").exists(), "it has run all the same"


def test_one_bad_line_of_the_environment_silences_the_webhook(
    toy: Scheduled, receiver: Receiver, letter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBE_WEBHOOK")
    (tmp_path / "cube.env").write_text(f"one bad line\nCUBE_WEBHOOK={receiver.address}\nanother\n")
    (tmp_path / "cube.env").chmod(0o600)
    assert toy.cube("run", "build").exit_code == 2
    (got,) = receiver.got
    assert [each["where"] for each in got["problems"]] == [f"{tmp_path}/cube.env:{line}" for line in (1, 3)]


def test_environment_file_of_another_user_is_heeded(toy: Scheduled, letter: Path, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    (tmp_path / "cube.env").write_text("TOY_OTHERS=1\n")
    (tmp_path / "cube.env").chmod(0o600)
    os.chown(tmp_path / "cube.env", 65534, -1)
    assert toy.cube("run", "build").exit_code == 2
    assert "TOY_OTHERS" not in os.environ


def test_title_of_a_refused_request_speaks_of_a_plan_only(toy: Scheduled, receiver: Receiver) -> None:
    assert toy.cube("run", "build").exit_code == 0
    toy.write(days=400)
    assert toy.cube("run", "build").exit_code == 4
    (got,) = receiver.got
    assert got["title"] == "[Toy cube] build failed: the plan or the cluster's request is refused (retraction)"


def test_problem_of_a_product_does_not_name_it(toy: Scheduled, receiver: Receiver) -> None:
    run = records.Run(toy.store(), "build", "schedule", "cube run build", "local")
    bare, placed = (Problem("worker-killed", "three workers ended", where).to_json() for where in ("", "block 7"))
    run.built({"failed": {"rain": {"exit_code": 8, "problems": [bare, placed]}}})
    assert [each["where"] for each in run.problems] == ["rain", "block 7"]


def test_way_that_does_not_work_passes_the_test_of_notifying(
    toy: Scheduled, receiver: Receiver, letter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "PAUSE_SECONDS", 0.0)
    result = toy.cube("schedule", "--test-notify")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["sent by webhook CUBE_WEBHOOK", "sent by mail to ops@example.org"]
    assert [(each["event"], each["run"]) for each in receiver.got] == [("test", None)]
    assert letter.exists()
    assert not (toy.folder / "cube").exists(), "it leaves no record"
    receiver.answers = [404]
    result = toy.cube("schedule", "--test-notify")
    assert result.exit_code == 2
    assert "webhook CUBE_WEBHOOK: answered 404 [schedule-notify]" in result.stderr
    assert "sent by mail" in result.stdout
    del toy.schedule["notify"]
    toy.write()
    assert toy.cube("schedule", "--test-notify").exit_code == 2


def test_build_by_hand_tells_everybody(toy: Scheduled, receiver: Receiver) -> None:
    toy.write(broken=1)
    assert toy.cube("build").exit_code == 3
    assert receiver.got == []
