"""Schedules as CronJob manifests of Kubernetes."""

from __future__ import annotations

from typing import Any

import yaml

from batch.schedule.commands import Installed
from batch.schedule.options import Entry
from batch.schedule.times import Fields

SECRET, CONFIG = "cube-credentials", "cube-spec"
SPEC = "/etc/cube/cube.yaml"
NAME_LENGTH = 52
"""Of a CronJob: its jobs' names add eleven characters and must stay below 64."""

LATE_SECONDS = 3600
"""How late a run may still begin, where nothing says otherwise."""


def manifests(given: Installed, image: str) -> str:
    """One CronJob for each entry, as a stream of YAML documents.

    image  that holds the command
    """
    found = [_cron_job(given, name, entry, image) for name, entry in given.schedule.entries().items()]
    return yaml.safe_dump_all(found, sort_keys=False, explicit_start=True)


def _cron_job(given: Installed, name: str, entry: Entry, image: str) -> dict[str, Any]:
    watch = given.schedule.watch
    job: dict[str, Any] = {"backoffLimit": 0}
    if entry.limit is not None:
        # A run that takes longer than its limit is told of and goes on; at twice the limit it is taken for dead.
        job["activeDeadlineSeconds"] = round(2 * entry.limit)
    labels = {"app.kubernetes.io/name": "climate-impact-cube", "app.kubernetes.io/instance": instance(given.id)}
    container = {
        "name": "cube",
        "image": image,
        "command": ["cube", "run", name, "--spec", SPEC],
        "envFrom": [{"secretRef": {"name": SECRET}}],
        "volumeMounts": [{"name": "spec", "mountPath": SPEC.rpartition("/")[0], "readOnly": True}],
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "spec", "configMap": {"name": CONFIG}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": _name(given.id, name), "labels": dict(labels)},
        "spec": {
            "schedule": Fields.of(entry.cron).cron(),
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": round(watch.tolerance) if watch else LATE_SECONDS,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {**job, "template": {"metadata": {"labels": labels}, "spec": pod}},
            },
        },
    }


def instance(id: str) -> str:
    """The label that tells one cube's jobs from another's."""
    return id[:63].strip("-")


def _name(id: str, entry: str) -> str:
    return f"cube-{id[: NAME_LENGTH - len(entry) - 6].strip('-')}-{entry}"
