"""The `schedule:` section of the specification: what runs when, and who is told when it does not."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from batch.schedule.times import check_cron
from batch.sizes import Size
from compute.clusters.options import Word
from cube.errors import Problem
from cube.options import Duration, Strict

ENTRIES = ("build", "verify", "gc", "watch")
"""What can be scheduled, in the order in which it is shown."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def _cron(value: Any) -> Any:
    if not isinstance(value, str):
        value = str(value)
    problem = check_cron(value)
    if problem:
        raise ValueError(problem)
    return " ".join(value.split())


def _variable(value: str) -> str:
    # What stands here instead is mostly the address itself, which must not be shown.
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError(
            Problem(
                "schedule-webhook",
                "the name of an environment variable is expected here, not the address itself",
                danger="who knows the address of a webhook can mostly write to it",
                fix="put the address into a variable such as CUBE_WEBHOOK, and its name here",
            )
        )
    return value


def _mailbox(value: str) -> str:
    if not re.fullmatch(r"[^\s@<>,;:]+@[^\s@<>,;:]+", value):
        raise ValueError(f"an address such as ops@example.org is expected, found {value!r}")
    return value


Cron = Annotated[str, BeforeValidator(_cron, json_schema_input_type=str)]
Mailbox = Annotated[Text, AfterValidator(_mailbox)]


class Entry(Strict):
    """What runs, and when."""

    cron: Cron = Field(
        description="minute, hour, day of the month, month, day of the week, in UTC", examples=["30 2 * * *"]
    )
    limit: Duration | None = Field(
        None,
        description="how long a run should take at most: it is told when one takes longer, and one of which nothing is "
        "heard for twice as long is taken for dead. On Slurm it is the time limit of the job as well, unless "
        "`driver.walltime` is given",
        examples=["8 h"],
    )


class BuildEntry(Entry):
    """Bringing all products up to date."""


class GcEntry(Entry):
    """Deleting what nobody needs any more."""


class VerifyEntry(Entry):
    """Proving what is published."""

    share: int | None = Field(
        None,
        ge=1,
        description="each run reads one part of so many, in turn, and proves checksums; without it sizes are compared",
        examples=[7],
    )


class WatchEntry(Entry):
    """Looking whether runs were missed, hang or died."""

    tolerance: Duration = Field(
        "1 h",
        validate_default=True,
        description="how late a run may begin before it counts as missed; where it waits in a queue first, so long",
        examples=["1 h", "6 h"],
    )


class Mail(Strict):
    """A message by mail."""

    to: Annotated[tuple[Mailbox, ...], Field(min_length=1)] = Field(
        description="who gets it", examples=[["ops@example.org"]]
    )
    command: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        ("sendmail", "-t"), description="command and arguments; it gets the message (RFC 5322) on its standard input"
    )
    sender: Mailbox | None = Field(None, description="who it is from; by default the user on the machine of the run")


class Notify(Strict):
    """Who is told when a run fails, takes too long or is missed."""

    webhook: Annotated[Text, AfterValidator(_variable)] | None = Field(
        None,
        description="name of the environment variable that holds the address to which a JSON document is posted",
        examples=["CUBE_WEBHOOK"],
    )
    mail: Mail | None = None


class Driver(Strict):
    """What a run's own job asks Slurm for, in the forms slurm and jasmin; the workers' jobs are those of `cluster`."""

    memory: Size = Field(
        "4 GiB",
        validate_default=True,
        description="memory of the job: the command plans and keeps books. Local workers (`cluster: local`) need "
        "theirs in it too",
        examples=["4 GiB"],
    )
    walltime: Annotated[Duration, Field(ge=60)] | None = Field(
        None, description="time limit of the job; by default the entry's `limit`, or 24 h", examples=["24 h"]
    )
    queue: Word | None = Field(None, description="partition; by default that of `cluster`", examples=["standard"])
    account: Word | None = Field(None, description="account that is charged; by default that of `cluster`")
    qos: Word | None = Field(None, description="quality of service; by default that of `cluster`")


class Schedule(Strict):
    """What runs by itself. Times are UTC."""

    build: BuildEntry | None = Field(None, description="`cube build`: all products are brought up to date")
    verify: VerifyEntry | None = Field(None, description="`cube verify`")
    gc: GcEntry | None = Field(None, description="`cube gc`, which deletes old records of runs as well")
    watch: WatchEntry | None = Field(None, description="looks whether runs were missed, hang or died without a word")
    notify: Notify = Field(
        default_factory=lambda: Notify.model_validate({}),
        description="who is told when a run fails, takes too long or is missed",
    )
    environment: Text | None = Field(
        None,
        description="file of `NAME=value` lines that only its owner may read: what runs need and a specification must "
        "not hold, such as the webhook's address and credentials. Relative to the specification; variables that are "
        "set already stay, folders of PATH go before those that are there",
        examples=["~/.config/cube.env"],
    )
    driver: Driver = Field(
        default_factory=lambda: Driver.model_validate({}),
        description="what a run's own job asks Slurm for, in the forms slurm and jasmin",
    )
    logs: Text = Field(
        "logs", description="folder that cron and Slurm write the output of runs to; relative to the specification"
    )

    @model_validator(mode="after")
    def _something(self) -> Schedule:
        if not self.entries():
            raise ValueError(f"nothing is scheduled: give one of {', '.join(ENTRIES)}")
        return self

    def entries(self) -> dict[str, Entry]:
        """What is scheduled, by name."""
        found = {name: getattr(self, name) for name in ENTRIES}
        return {name: entry for name, entry in found.items() if entry is not None}
