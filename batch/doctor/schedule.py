"""Checks of the schedule: the environment of runs, who is told of failures, and what the driver asks Slurm for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from batch.runs.notifying import program_of
from batch.schedule.driver import as_cluster, requested
from batch.schedule.environment import load_environment
from batch.schedule.options import Mail, Notify, Schedule
from batch.spec import Spec
from compute.clusters import slurm_facts as site
from compute.clusters.slurm_preflight import problems
from cube.checks import Check, Trial
from cube.errors import Problem, RefusedError, SpecError


def schedule_trials(spec: Spec) -> Iterator[Trial]:
    """Checks in their order. Sets the variables of the environment file, as a scheduled run does."""
    schedule = spec.schedule
    if schedule is None:
        return
    if schedule.environment is not None:
        path = Path(spec.resolve(schedule.environment))
        yield Trial("schedule: environment", partial(_environment, spec=spec, path=path), SpecError.exit_code)
    yield from _ways(schedule.notify)
    if schedule.entries().keys() - {"watch"} and not site.missing_commands():
        # Without a word about Slurm in the specification, runs may have nothing to do with it.
        declared = spec.cluster.kind == "slurm" or "driver" in schedule.model_fields_set
        check = partial(_driver, schedule=schedule, cluster=spec.cluster, declared=declared)
        yield Trial("schedule: driver's request", check, RefusedError.exit_code)


def _environment(name: str, spec: Spec, path: Path) -> Check:
    load_environment(spec)
    if not path.exists():
        fix = "make it, with mode 600, unless variables come another way here"
        return Check(name, "warning", f"there is no {path}", fix)
    return Check(name, "ok", f"{path} is yours alone")


def _ways(notice: Notify) -> Iterator[Trial]:
    if notice.webhook is not None:
        yield Trial("schedule: webhook", partial(_webhook, variable=notice.webhook))
    if notice.mail is not None:
        yield Trial("schedule: mail", partial(_mail, mail=notice.mail))
    if notice.webhook is None and notice.mail is None:
        yield Trial("schedule: notify", _nobody)


def _nobody(name: str) -> Check:
    return Check(name, "warning", "nobody is told when a run fails", "give `schedule.notify`")


def _webhook(name: str, variable: str) -> Check:
    if not os.environ.get(variable):
        fix = "set it in the file of `schedule.environment`"
        return Check(name, "warning", f"the variable {variable} is not set: the webhook hears of nothing", fix)
    return Check(name, "ok", f"{variable} is set; `cube schedule --test-notify` sends a message")


def _mail(name: str, mail: Mail) -> Check:
    program = program_of(mail)
    if program is None:
        fix = "install a mail system, or give another `schedule.notify.mail.command`"
        return Check(name, "warning", f"there is no command {mail.command[0]}: nobody gets a mail from here", fix)
    return Check(name, "ok", f"{program} is there; `cube schedule --test-notify` sends a message")


def _driver(name: str, schedule: Schedule, cluster: object, declared: bool) -> Check:
    """What the site has against the job of the entry that asks for most."""
    if not declared and not site.queues():
        return Check(name, "not tried", "Slurm does not answer, and the specification does not ask for it")
    asked = as_cluster(schedule, cluster)
    longest = schedule.model_copy(update={"driver": schedule.driver.model_copy(update={"walltime": asked.walltime})})
    options = requested(longest, next(iter(schedule.entries().values())), cluster)
    script = "\n".join(["#!/bin/bash", *(f"#SBATCH {option}" for option in options), "true"]) + "\n"
    found = [_in_schedule(each) for each in problems(asked, schedule.driver.memory, script)]
    if found and not declared:
        first = found[0]
        return Check(name, "warning", f"{first.where}: {first.what} [{first.code}]", first.fix)
    if found:
        raise RefusedError(found)
    return Check(name, "ok", " ".join(options))


def _in_schedule(problem: Problem) -> Problem:
    """A problem of a cluster's request, in terms of the driver's."""
    where = problem.where.removeprefix("cluster").removeprefix(".").removeprefix("kind")
    fix = problem.fix.replace("`memory` or `cluster.workers_per_job`", "`schedule.driver.memory`")
    return replace(problem, where=f"schedule.driver.{where}".removesuffix("."), fix=fix)
