"""Schedules: times that schedulers read alike, and forms that they take and run."""

from __future__ import annotations

import datetime
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NoReturn

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.command import main
from batch.schedule import crontab, systemd
from batch.schedule.commands import installed
from batch.schedule.driver import DRIVER
from batch.schedule.forms import render
from batch.schedule.times import Fields, next_time, previous_time
from batch.spec import Spec, load_spec
from compute.clusters.options import SlurmCluster
from cube.errors import Problem, StoreError
from tests.batch.archive import write_day

Unavailable = Callable[[str], NoReturn]
Faults = Callable[[str], list[Problem]]

START = datetime.datetime(2026, 11, 22, 17, 3, tzinfo=datetime.UTC)
CUBE = Path(sys.executable).parent / "cube"

SPEC = """\
title: Night cube
store: ./cube
memory: 1 GiB
cluster: {kind: local, workers: 0}
schedule: SCHEDULE
products:
  rain: {job: ingest, collection: inputs, source: cf, files: archive/*.nc, layout: {segment: 1 years},
         provenance: {licence: CC-BY-4.0, redistribution: "yes"}}
"""
ALL = """
  build: {cron: "30 2 * * *", limit: 8 h}
  verify: {cron: "*/20 5 * * MON-FRI", share: 7}
  gc: {cron: "0 7 * * 7"}
  watch: {cron: "15 * * * *", tolerance: 2 h}
  notify: {mail: {to: [ops@example.org]}}
"""


def written(folder: Path, schedule: str = ALL) -> Spec:
    from batch.jobs import OPTIONS

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cube.yaml").write_text(SPEC.replace("SCHEDULE", schedule))
    return load_spec(folder / "cube.yaml", OPTIONS)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    span = st.tuples(value, value).map(sorted)
    step = st.integers(1, max(2, (high - low) // 2))
    part = st.one_of(
        value.map(str),
        span.map(lambda two: f"{two[0]}-{two[1]}"),
        st.tuples(span, step).map(lambda each: f"{each[0][0]}-{each[0][1]}/{each[1]}"),
        step.map(lambda each: f"*/{each}"),
    )
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


names = st.sampled_from(["MON", "tue-fri", "SUN,Wed", "7", "0,6"])
crons = st.tuples(
    field(0, 59),
    field(0, 23),
    st.one_of(st.tuples(field(1, 28), st.just("*")), st.tuples(st.just("*"), st.one_of(field(0, 7), names))),
    st.one_of(field(1, 12), st.sampled_from(["JAN", "jul,AUG-oct"])),
).map(lambda each: f"{each[0]} {each[1]} {each[2][0]} {each[3]} {each[2][1]}")


@pytest.fixture
def analyze(unavailable: Unavailable) -> str:
    return shutil.which("systemd-analyze") or unavailable("apt-get install systemd")


def elapses(expression: str) -> list[datetime.datetime]:
    command = ["systemd-analyze", "calendar", "--iterations=50", "--base-time=2026-11-22 17:03:00 UTC", expression]
    out = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC"}).stdout
    found = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ (\S+ \S+) UTC", out)
    return [datetime.datetime.fromisoformat(each).replace(tzinfo=datetime.UTC) for each in found]


@pytest.mark.usefixtures("analyze")
def test_systemd_elapses_at_other_times_than_cron() -> None:
    @settings(max_examples=40)
    @given(crons)
    def same(cron: str) -> None:
        assert elapses(systemd.on_calendar(cron)) == list(islice(CronSim(cron, START), 50))

    same()


@given(crons)
def test_numbers_and_commas_mean_other_times_than_what_was_written(cron: str) -> None:
    plain = Fields.of(cron).cron()
    assert re.fullmatch(r"(\*|\d+(,\d+)*)( (\*|\d+(,\d+)*)){4}", plain)
    assert list(islice(CronSim(plain, START), 50)) == list(islice(CronSim(cron, START), 50))


def test_time_before_and_after_are_the_same_moment() -> None:
    at = datetime.datetime(2026, 11, 22, 2, 30, tzinfo=datetime.UTC)
    assert next_time("30 2 * * *", at) == at + datetime.timedelta(days=1)
    assert previous_time("30 2 * * *", at) == at - datetime.timedelta(days=1)
    assert previous_time("30 2 * * *", at + datetime.timedelta(microseconds=1)) == at
    elsewhere = datetime.timezone(datetime.timedelta(hours=9))
    assert next_time("30 2 * * *", at.astimezone(elsewhere)) == at + datetime.timedelta(days=1)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("30 2 1 * 1", "both the day of the month and the day of the week"),
        ("30 2 1-31 * 1", "both the day of the month and the day of the week"),
        ("30 2 * *", "found 4"),
        ("0 30 2 * * *", "found 6"),
        ("@daily", "found 1"),
        ("0 0 30 2 *", "names no time"),
        ("60 2 * * *", "names no time"),
        ("0 2 l * *", "digits, names"),
        ("0 2 * * 1#2", "digits, names"),
        ("0 2 * * x", "names no time"),
    ],
)
def test_time_that_schedulers_read_differently_is_accepted(faults: Faults, cron: str, words: str) -> None:
    (problem,) = faults(
        f'title: T\nstore: ./c\nschedule:\n  build: {{cron: "{cron}"}}\n'
        "products: {r: {job: ingest, collection: c, source: tamsat, files: a.nc}}\n"
    )
    assert problem.code == "schedule-time"
    assert problem.where == "cube.yaml:4 schedule.build.cron"
    assert words in problem.what


def test_address_of_a_webhook_is_shown_or_accepted(faults: Faults) -> None:
    (problem,) = faults(
        'title: T\nstore: ./c\nschedule:\n  build: {cron: "0 2 * * *"}\n  notify: {webhook: "https://h/x/s3cr3t"}\n'
        "products: {r: {job: ingest, collection: c, source: tamsat, files: a.nc}}\n"
    )
    assert (problem.code, problem.where) == ("schedule-webhook", "cube.yaml:5 schedule.notify.webhook")
    assert "s3cr3t" not in str(problem)


def test_schedule_of_nothing_or_mail_to_nobody_is_accepted(faults: Faults) -> None:
    text = "products: {r: {job: ingest, collection: c, source: tamsat, files: a.nc}}\n"
    assert len(faults(f"title: T\nstore: ./c\nschedule: {{logs: l}}\n{text}")) == 1
    for mail in ("{to: []}", "{to: [ops]}", '{to: ["a@b\\nBcc: c@d"]}', "{to: [a@b], command: []}"):
        assert len(
            faults(f'title: T\nstore: ./c\nschedule: {{gc: {{cron: "0 2 * * *"}}, notify: {{mail: {mail}}}}}\n{text}')
        )


def test_manifest_is_refused_by_the_schema(tmp_path: Path) -> None:
    spec = written(tmp_path)
    text = render(installed(spec), "kubernetes", spec.cluster, "registry.example.org/cube:1")
    found = list(yaml.safe_load_all(text))
    assert [each["metadata"]["name"].rpartition("-")[2] for each in found] == ["build", "verify", "gc", "watch"]
    for each in found:
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
    build, verify, gc, _ = (each["spec"] for each in found)
    assert (build["schedule"], build["timeZone"], build["concurrencyPolicy"]) == ("30 2 * * *", "Etc/UTC", "Forbid")
    # What Kubernetes does not know: names of days in ranges beside steps, and Sunday as 7.
    assert (verify["schedule"], gc["schedule"]) == ("0,20,40 5 * * 1,2,3,4,5", "0 7 * * 0")
    assert build["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 2 * 8 * 3600
    assert build["startingDeadlineSeconds"] == 2 * 3600
    assert "&id" not in text


def test_name_of_a_manifest_is_too_long(tmp_path: Path) -> None:
    spec = written(tmp_path).model_copy(update={"id": "-".join(["long"] * 20)})
    for each in yaml.safe_load_all(render(installed(spec), "kubernetes", spec.cluster)):
        assert len(each["metadata"]["name"]) <= 52
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", each["metadata"]["name"])
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.usefixtures("analyze")
def test_unit_is_refused_by_systemd_or_runs_another_command(tmp_path: Path) -> None:
    spec = written(tmp_path / "50 % of $HOME")
    folder = tmp_path / "units"
    folder.mkdir()
    for name, text in systemd.units(installed(spec)).items():
        (folder / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(folder.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    unit = (folder / "cube-night-cube-build.service").read_text()
    (line,) = re.findall(r"^ExecStart=(.*)$", unit, flags=re.M)
    words = [each.replace("%%", "%").replace("$$", "$") for each in shlex.split(line)]
    assert words == [str(CUBE), "run", "build", "--spec", str(spec.path)]


def test_units_are_installed_twice_or_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    written(tmp_path / "a")
    folder = tmp_path / "config/systemd/user"
    folder.mkdir(parents=True)
    (folder / "other.service").write_text("[Service]\n")

    def cube(*arguments: str, at: str = "a") -> str:
        result = CliRunner().invoke(
            main, ["schedule", "--form", "systemd", *arguments, "--spec", str(tmp_path / at / "cube.yaml")]
        )
        assert result.exit_code == (2 if at == "b" else 0), result.output
        return result.output

    assert "systemctl --user enable --now cube-night-cube-build.timer" in cube("--install")
    assert len(list(folder.iterdir())) == 9
    written(tmp_path / "a", '{build: {cron: "5 3 * * *"}}')
    assert "systemctl --user disable --now cube-night-cube-gc.timer" in cube("--install")
    assert sorted(path.name for path in folder.iterdir()) == [
        "cube-night-cube-build.service",
        "cube-night-cube-build.timer",
        "other.service",
    ]
    assert "OnCalendar=*-*-* 03:05:00 UTC" in (folder / "cube-night-cube-build.timer").read_text()
    written(tmp_path / "b")
    assert "units of another specification have this name" in cube("--install", at="b")
    assert "systemctl --user disable --now cube-night-cube-build.timer" in cube("--remove")
    assert [path.name for path in folder.iterdir()] == ["other.service"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r")), max_size=4), st.booleans())
def test_other_lines_of_the_crontab_change(others: list[str], ends: bool) -> None:
    before = "".join(f"{line}\n" for line in others)
    one, two = Path("/one/cube.yaml"), Path("/two/cube.yaml")
    first = crontab.replaced(before, one, ["0 1 * * * a"])
    assert first.startswith(before)
    assert crontab.replaced(first, one, ["0 1 * * * a"]) == first
    assert crontab.replaced(first, one, []) == before
    both = crontab.replaced(first, two, ["0 2 * * * b"]) + ("* * * * * mine\n" if ends else "* * * * * mine")
    changed = crontab.replaced(both, one, ["0 3 * * * c", "0 4 * * * d"])
    assert changed == both.replace("0 1 * * * a\n", "0 3 * * * c\n0 4 * * * d\n")
    gone = crontab.replaced(crontab.replaced(changed, one, []), two, [])
    assert gone == before + both[both.index("* * * * * mine") :]


def test_block_without_an_end_takes_other_lines_with_it() -> None:
    spec = Path("/one/cube.yaml")
    text = crontab.replaced("", spec, ["0 1 * * * a"]).replace(crontab.LAST.format(spec=spec), "0 5 * * * mine")
    with pytest.raises(StoreError) as caught:
        crontab.replaced(text, spec, [])
    assert caught.value.problems[0].code == "crontab-block"


def as_cron(line: str, folder: Path, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    """What cron does with a line: the first five fields are the time; \\% is %; the rest goes to sh."""
    command = line.split(" ", 5)[5]
    assert not re.search(r"(?<!\\)%", command)
    # Only what cron itself sets; coverage and caches of the tests are none of it.
    environment = {"HOME": str(folder), "PATH": path, "SHELL": "/bin/sh", "LOGNAME": "cube"}
    return subprocess.run(
        ["/bin/sh", "-c", command.replace(r"\%", "%")],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def executable(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the front of the path with a `crontab` of its own, which keeps its table in the file `table`."""
    folder = tmp_path / "tools"
    folder.mkdir()
    executable(
        folder / "crontab",
        f'table={folder}/table\ncase "$1" in\n-l) [ -e $table ] || {{ echo "no crontab for me" >&2; exit 1; }}\n'
        "cat $table;;\n-) cat >$table;;\n*) exit 1;;\nesac",
    )
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_installed_line_does_not_run_where_cron_runs_it(tmp_path: Path, tools: Path) -> None:
    folder = tmp_path / "the cube's 50 % night"
    for day in range(3):
        write_day(folder / "archive", day)
    spec = written(folder, '{build: {cron: "* * * * *"}, gc: {cron: "0 7 * * 0"}, logs: "the logs"}')
    (tools / "table").write_text("MAILTO=me\n5 5 * * * mine\n")
    for _ in range(2):
        result = CliRunner().invoke(main, ["schedule", "--install", "--spec", str(spec.path)])
        assert result.exit_code == 0, result.output
    table = (tools / "table").read_text()
    assert table.startswith("MAILTO=me\n5 5 * * * mine\n# cube of ")
    assert table.count(" run build ") == 1
    (line,) = [each for each in table.splitlines() if " run build " in each]
    done = as_cron(line, tmp_path)
    log = (folder / "the logs/build.log").read_text()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), log
    assert "rain: published" in log
    record = json.loads((folder / "cube/runs/latest-build.json").read_text())
    assert (record["exit_code"], record["by"], record["entry"]) == (0, "schedule", "build")
    assert [each["name"] for each in record["outcome"]["built"]] == ["rain"]
    assert CliRunner().invoke(main, ["schedule", "--remove", "--spec", str(spec.path)]).exit_code == 0
    assert (tools / "table").read_text() == "MAILTO=me\n5 5 * * * mine\n"


def test_jasmin_line_submits_something_else(tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = written(tmp_path / "night 1")
    cluster = SlurmCluster.model_validate({"kind": "slurm", "account": "mygws", "queue": "standard", "qos": "high"})
    submit = crontab.jasmin_lines(installed(spec), cluster)
    assert submit[0] == "CRON_TZ=UTC"
    # As cedadev's crontamer reads its options: -t PERIOD, -l, -e EMAIL, then the words of one shell command.
    executable(tools / "crontamer", f'echo "$1 $2 $3 $4 $5" >{tools}/tamed\nshift 5\nexec sh -c "$*"')
    executable(tools / "sbatch", f'for each; do echo "$each"; done >{tools}/asked; echo Submitted batch job 7')
    done = as_cron(submit[1], tmp_path, f"{tools}:/usr/bin:/bin")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tools / "tamed").read_text() == "-t 10m -l -e ops@example.org\n"
    logs = spec.folder / "logs"
    assert (tools / "asked").read_text().splitlines() == [
        "--job-name=cube-night-cube-build",
        f"--output={logs}/build-%j.log",
        "--account=mygws",
        "--partition=standard",
        "--qos=high",
        "--time=480",
        "--mem=4096M",
        str(DRIVER),
        "build",
        str(spec.path),
    ]
    assert (logs / "build.log").read_text() == "Submitted batch job 7\n"
    # The watch must not wait for the queue that it watches.
    assert "sbatch" not in submit[4]
    assert f"{CUBE} run watch" in submit[4]


def test_slurm_line_submits_something_else(tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = written(
        tmp_path / "night 1",
        """
  build: {cron: "30 2 * * *"}
  gc: {cron: "0 7 * * 0", limit: 90 min}
  watch: {cron: "15 * * * *"}
  environment: secrets.env
  driver: {memory: 2.5 GiB, qos: long}
""",
    )
    cluster = SlurmCluster.model_validate({"kind": "slurm", "account": "ours", "queue": "batch", "qos": "high"})
    executable(tools / "sbatch", f'{{ echo "$SLURM_CONF"; for each; do echo "$each"; done; }} >{tools}/asked')
    monkeypatch.setenv("SLURM_CONF", "/opt/slurm/etc/slurm.conf")
    zone, build, gc, watch = crontab.slurm_lines(installed(spec), cluster)
    assert zone == "CRON_TZ=UTC"
    # Modules are not loaded under cron: neither the path nor the variable is there.
    assert as_cron(build, tmp_path).returncode == 0
    asked = (tools / "asked").read_text().splitlines()
    assert asked == [
        "/opt/slurm/etc/slurm.conf",
        "--job-name=cube-night-cube-build",
        f"--output={spec.folder}/logs/build-%j.log",
        "--account=ours",
        "--partition=batch",
        "--qos=long",
        "--time=1440",
        "--mem=2560M",
        f"--export=ALL,CUBE_ENVIRONMENT={spec.folder}/secrets.env",
        str(DRIVER),
        "build",
        str(spec.path),
    ]
    assert as_cron(gc, tmp_path).returncode == 0
    assert "--time=90" in (tools / "asked").read_text().splitlines()
    assert f"{CUBE} run watch" in watch
    assert "sbatch" not in watch


@pytest.mark.parametrize(("driver", "minutes"), [("{}", (480, 1440)), ("{walltime: 12 h}", (720, 720))])
def test_time_of_the_job_script_decides(tmp_path: Path, driver: str, minutes: tuple[int, int]) -> None:
    spec = written(
        tmp_path,
        f'{{build: {{cron: "30 2 * * *", limit: 8 h}}, verify: {{cron: "5 5 * * *"}}, driver: {driver}}}',
    )
    _, build, verify = crontab.slurm_lines(installed(spec), spec.cluster)
    assert (f"--time={minutes[0]} " in build, f"--time={minutes[1]} " in verify) == (True, True)
    assert "--account" not in build


def test_environment_file_that_sbatch_would_cut_off_is_passed_on(tmp_path: Path) -> None:
    spec = written(tmp_path, '{build: {cron: "30 2 * * *"}, environment: "a,b.env"}')
    result = CliRunner().invoke(main, ["schedule", "--form", "slurm", "--spec", str(spec.path)])
    assert (result.exit_code, "[schedule-path]" in result.stderr) == (2, True)


def test_slurm_form_is_installed_where_there_is_no_slurm(
    tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = written(tmp_path / "a")
    arguments = ["schedule", "--form", "slurm", "--spec", str(spec.path)]
    which = shutil.which
    monkeypatch.setattr("shutil.which", lambda name, **kwargs: None if name == "sbatch" else which(name, **kwargs))
    result = CliRunner().invoke(main, [*arguments, "--install"])
    assert (result.exit_code, "nothing was installed: there is no sbatch" in result.output) == (0, True)
    assert not (tools / "table").exists()
    monkeypatch.undo()
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    executable(tools / "sbatch", "true")
    assert "installed in the crontab" in CliRunner().invoke(main, [*arguments, "--install"]).output
    assert f"{tools}/sbatch --job-name=cube-night-cube-build" in (tools / "table").read_text()
    assert CliRunner().invoke(main, [*arguments, "--remove"]).exit_code == 0
    assert (tools / "table").read_text() == ""


def test_trouble_of_the_watch_is_hidden_in_a_log(tmp_path: Path) -> None:
    """cron mails what a line writes; where the specification cannot be read, nobody else tells."""
    spec = written(tmp_path)
    watch = crontab.lines(installed(spec))[-1]
    done = as_cron(watch, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "as they should" in (tmp_path / "logs/watch.log").read_text()
    spec.path.write_text("title: [\n")
    done = as_cron(watch, tmp_path)
    assert done.returncode == 2
    assert "the specification cannot be used" in done.stderr


def test_jasmin_form_is_installed_where_there_is_no_crontamer(tmp_path: Path, tools: Path) -> None:
    spec = written(tmp_path / "a")
    result = CliRunner().invoke(main, ["schedule", "--form", "jasmin", "--install", "--spec", str(spec.path)])
    assert result.exit_code == 0
    assert "nothing was installed" in result.output
    assert not (tools / "table").exists()


@pytest.mark.parametrize(("zone", "warned"), [("UTC", False), ("Europe/London", True), ("Africa/Nairobi", True)])
def test_cron_that_ignores_the_time_zone_is_not_warned_of(
    tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch, zone: str, warned: bool
) -> None:
    spec = written(tmp_path / "a")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        result = CliRunner().invoke(main, ["schedule", "--install", "--spec", str(spec.path)])
        assert ("ignores CRON_TZ" in result.output) is warned
        executable(tools / "crontab", f'[ "$1" = -V ] && echo cronie 1.5.7; [ "$1" = - ] && cat >{tools}/table; exit 0')
        result = CliRunner().invoke(main, ["schedule", "--install", "--spec", str(spec.path)])
        assert "ignores CRON_TZ" not in result.output
    finally:
        monkeypatch.undo()
        time.tzset()


def test_schedule_that_is_not_there_is_a_traceback(tmp_path: Path) -> None:
    spec = written(tmp_path / "a", "null")
    result = CliRunner().invoke(main, ["schedule", "--spec", str(spec.path)])
    assert result.exit_code == 2
    assert "[schedule-none]" in result.output


@pytest.fixture
def own_crontab(unavailable: Unavailable) -> Iterator[None]:
    """Root's crontab is put back as it was."""
    if os.geteuid() or not shutil.which("crontab") or not Path("/usr/sbin/cron").exists():
        unavailable("cron as root: apt-get install cron")
    before = subprocess.run(["crontab", "-l"], capture_output=True, check=False)
    subprocess.run(["crontab", "-r"], capture_output=True, check=False)
    yield
    if before.returncode == 0:
        subprocess.run(["crontab", "-"], input=before.stdout, check=True)
    else:
        subprocess.run(["crontab", "-r"], capture_output=True, check=False)


@pytest.mark.service
@pytest.mark.usefixtures("own_crontab")
def test_entry_does_not_fire_under_a_real_cron(tmp_path: Path) -> None:
    for day in range(3):
        write_day(tmp_path / "archive", day)
    spec = written(tmp_path, '{build: {cron: "* * * * *"}}')
    result = CliRunner().invoke(main, ["schedule", "--install", "--spec", str(spec.path)])
    assert result.exit_code == 0, result.output
    latest = tmp_path / "cube/runs/latest-build.json"
    cron = subprocess.Popen(["/usr/sbin/cron", "-f"], start_new_session=True)
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and not (latest.exists() and json.loads(latest.read_text())["ended"]):
            assert cron.poll() is None, "cron ended"
            time.sleep(0.5)
    finally:
        CliRunner().invoke(main, ["schedule", "--remove", "--spec", str(spec.path)])
        os.kill(cron.pid, signal.SIGTERM)
        cron.wait(30)
    record = json.loads(latest.read_text())
    assert (record["exit_code"], record["by"]) == (0, "schedule"), (tmp_path / "logs/build.log").read_text()
    assert (tmp_path / "cube/catalog.json").exists()
