"""The forms of a schedule: what each looks like, and what installing and removing it does."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from pathlib import Path

from batch.schedule import crontab, kubernetes, systemd
from batch.schedule.commands import Installed, installed
from batch.schedule.driver import DRIVER
from batch.spec import Spec
from cube.errors import Problem, SpecError

FORMS = ("crontab", "slurm", "jasmin", "systemd", "kubernetes")

_SUBMITTING = {"slurm": ("sbatch", "a machine from which jobs are submitted"), "jasmin": ("crontamer", "cron-01")}
"""Forms that submit jobs: the command that must be there, and where it is."""


def render(given: Installed, form: str, cluster: object, image: str | None = None) -> str:
    """A schedule as text.

    cluster  of the specification
    image    for Kubernetes; by default that of this version
    """
    if form == "crontab":
        return _joined(crontab.lines(given))
    if form == "slurm":
        return _joined(crontab.slurm_lines(given, cluster))
    if form == "jasmin":
        return _joined(crontab.jasmin_lines(given, cluster))
    if form == "systemd":
        return "\n".join(f"# {systemd.folder() / name}\n{text}" for name, text in systemd.units(given).items())
    version = importlib.metadata.version("climate-impact-cube")
    return kubernetes.manifests(given, image or f"climate-impact-cube:{version}")


def install(spec: Spec, form: str, image: str | None = None) -> list[str]:
    """Put a schedule where it takes effect, in place of what was installed before; what to tell.

    Raises StoreError where the crontab or folder cannot be written, SpecError where the command is not there.
    """
    given = installed(spec)
    if form == "kubernetes":
        text = render(given, form, spec.cluster, image)
        return [text, *_apply(spec)]
    if not given.cube.exists():
        fix = "install the package into the environment of this Python"
        raise SpecError(
            Problem("schedule-path", "the command that would be run is not there", str(given.cube), fix=fix)
        )
    if form == "systemd":
        return _install_units(given)
    lines = crontab.lines(given)
    if form in _SUBMITTING:
        submitting = crontab.jasmin_lines if form == "jasmin" else crontab.slurm_lines
        lines = submitting(given, spec.cluster)
        command, place = _SUBMITTING[form]
        if shutil.which(command) is None:
            return [_joined(lines), f"nothing was installed: there is no {command} here", f"next: the same on {place}"]
        if not DRIVER.exists():
            fix = "run the command from a checkout of the project, whose folder deploy/ holds it"
            raise SpecError(Problem("schedule-path", "the job script is not there", str(DRIVER), fix=fix))
    before = crontab.read()
    after = crontab.replaced(before, given.spec, lines)
    if after != before:
        crontab.write(after)
    told = [_joined(lines), f"installed in the crontab of this user; output goes to {given.logs}"]
    if not crontab.zone_is_utc() and not crontab.heeds_time_zone():
        told.append(
            "warning: this machine's clock does not show UTC and its cron ignores CRON_TZ (Debian's does): the times "
            "above count as local time here"
        )
    return told


def remove(spec: Spec, form: str) -> list[str]:
    """Take away what `install` put there; what to tell. The schedule may be gone from the specification."""
    if form == "kubernetes":
        labels = f"app.kubernetes.io/name=climate-impact-cube,app.kubernetes.io/instance={kubernetes.instance(spec.id)}"
        return [f"nothing was removed; next: kubectl delete cronjob -l {labels}"]
    if form == "systemd":
        found = systemd.present(spec.id)
        for path in found:
            path.unlink()
        stop = [f"systemctl --user disable --now {path.name}" for path in found if path.suffix == ".timer"]
        return (
            [*(f"removed {path}" for path in found), *stop, "systemctl --user daemon-reload"] if found else ["nothing"]
        )
    before = crontab.read()
    after = crontab.replaced(before, spec.path.absolute(), [])
    if after == before:
        return ["nothing of this specification is in the crontab"]
    crontab.write(after)
    return ["removed from the crontab of this user"]


def _install_units(given: Installed) -> list[str]:
    folder, units = systemd.folder(), systemd.units(given)
    for path in systemd.present(given.id):
        if path.suffix == ".service" and str(given.spec) not in path.read_text(encoding="utf-8"):
            fix = "give the other cube, or this one, another `id:`"
            raise SpecError(
                Problem("schedule-taken", "units of another specification have this name", str(path), fix=fix)
            )
    folder.mkdir(parents=True, exist_ok=True)
    gone = [path for path in systemd.present(given.id) if path.name not in units]
    for path in gone:
        path.unlink()
    for name, text in units.items():
        temporary = folder / f".{name}.{os.getpid()}"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(folder / name)
    return [
        *(f"wrote {folder / name}" for name in units),
        *(f"removed {path}" for path in gone),
        "next:",
        *(f"  systemctl --user disable --now {path.name}" for path in gone if path.suffix == ".timer"),
        "  systemctl --user daemon-reload",
        *(f"  systemctl --user enable --now {name}" for name in units if name.endswith(".timer")),
        "  loginctl enable-linger    # so that they run while you are not logged in",
    ]


def _apply(spec: Spec) -> list[str]:
    return [
        "nothing was installed; next, with what is above in the file cronjobs.yaml:",
        f"  kubectl create configmap {kubernetes.CONFIG} --from-file=cube.yaml={Path(spec.path).absolute()}",
        f"  kubectl create secret generic {kubernetes.SECRET} --from-env-file=FILE",
        "  kubectl apply -f cronjobs.yaml",
    ]


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
