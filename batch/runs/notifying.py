"""Telling people that a run failed, takes too long or was missed: a webhook, a mail. Nothing here raises."""

from __future__ import annotations

import datetime
import email.message
import email.utils
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import click
import urllib3

from batch.schedule.options import Mail, Notify
from cube.errors import Problem
from cube.hashing import canonical

TRIES = 3
PAUSE_SECONDS = 2.0
TIMEOUT_SECONDS = 10.0
MAIL_SECONDS = 60.0


@dataclass(frozen=True)
class Message:
    """What is told, and the keys of the JSON document that a webhook gets.

    event      failed, skipped, overrun, died, missed or test
    run        of the record, None for a run that never was
    text       one paragraph: what readers see now, whether it can wait, the next command
    problems   as `Problem.to_json` gives them
    """

    cube: str
    entry: str
    event: str
    run: str | None
    exit_code: int | None
    title: str
    text: str
    problems: Sequence[Mapping[str, str]] = field(default=())


def notify(notify: Notify, message: Message) -> list[dict[str, Any]]:
    """Send a message every way that is given; what was sent and how it went, for the record.

    What could not be sent is said on standard error. Addresses of webhooks are never shown.
    """
    sent = []
    ways: list[tuple[str, Callable[[], str]]] = []
    if notify.webhook is not None:
        variable = notify.webhook
        ways.append((f"webhook {variable}", lambda: _post(variable, message)))
    if notify.mail is not None:
        mail = notify.mail
        ways.append((f"mail to {', '.join(mail.to)}", lambda: _mail(mail, message)))
    for way, send in ways:
        try:
            wrong = send()
        except Exception as error:  # noqa: BLE001  how a run ends must not depend on who is told
            wrong = type(error).__name__
        at = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
        sent.append({"event": message.event, "way": way, "at": at, "sent": not wrong, "why": wrong})
        if wrong:
            click.echo(f"{message.event} was not told by {way}: {wrong}", err=True)
    return sent


def _post(variable: str, message: Message) -> str:
    """What went wrong, "" if nothing did. urllib3's own texts hold the address."""
    address = os.environ.get(variable)
    if not address:
        return f"the variable {variable} is not set"
    wrong = ""
    with urllib3.PoolManager(timeout=TIMEOUT_SECONDS, retries=False) as pool:
        for number in range(TRIES):
            if number:
                time.sleep(PAUSE_SECONDS * number)
            try:
                headers = {"Content-Type": "application/json"}
                body = canonical(asdict(message))
                # The status is all that counts: an answer that drips for ever is not read.
                answer = pool.request(
                    "POST", address, body=body, headers=headers, redirect=False, preload_content=False
                )
                answer.close()
            except urllib3.exceptions.LocationValueError:
                return f"{variable} holds no address"
            except urllib3.exceptions.HTTPError as error:
                wrong = type(error).__name__
                continue
            if answer.status < 300:
                return ""
            wrong = f"answered {answer.status}"
            if answer.status < 500 and answer.status not in (408, 429):
                break
    return wrong


def program_of(mail: Mail) -> str | None:
    """The file of the mail command, None where there is none."""
    # cron's path has not the folder that sendmail is mostly in.
    return shutil.which(mail.command[0], path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def _mail(mail: Mail, message: Message) -> str:
    """What went wrong, "" if nothing did."""
    host = socket.gethostname()
    letter = email.message.EmailMessage()
    letter["From"] = mail.sender or f"{getpass.getuser()}@{host}"
    letter["To"] = ", ".join(mail.to)
    letter["Subject"] = message.title
    letter["Date"] = email.utils.localtime()
    letter["Message-ID"] = email.utils.make_msgid(domain=host)
    letter["Auto-Submitted"] = "auto-generated"
    problems = [str(Problem(**each)) for each in message.problems]
    letter.set_content("\n\n".join([message.text, *problems]) + "\n")
    program = program_of(mail)
    if program is None:
        return f"there is no command {mail.command[0]}"
    try:
        done = subprocess.run(
            [program, *mail.command[1:]],
            input=letter.as_bytes(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=MAIL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the command took longer than {MAIL_SECONDS:.0f} s"
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        return f"exit code {done.returncode}" + (f": {told[-1][:200]}" if told else "")
    return ""
