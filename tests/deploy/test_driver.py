"""The driver's job script: what it calls, what it refuses, and what of its own job it keeps from its workers' jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "deploy/slurm/build.sbatch"
Drive = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with a specification and a Python environment whose `cube` tells how it was called."""
    for path in (tmp_path / "venv/bin/cube", tmp_path / "bin/scontrol", tmp_path / "cube.yaml"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    (tmp_path / "venv/bin/cube").write_text('#!/bin/sh\necho "$@"\nenv\n')
    return tmp_path


@pytest.fixture
def drive(home: Path) -> Drive:
    """Runs the script as Slurm would, with these variables."""

    def drive(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(SCRIPT), *arguments],
            env=environment(home, **variables),
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )

    return drive


def environment(home: Path, **variables: str) -> dict[str, str]:
    return {"HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}", "CUBE_HOME": str(home / "venv"), **variables}


def secrets(home: Path, text: str, mode: int = 0o600) -> None:
    path = home / ".config/climate-impact-cube/environment"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(mode)


@pytest.mark.parametrize("entry", ["build", "verify", "gc", "watch"])
def test_entry_is_not_run(drive: Drive, entry: str) -> None:
    done = drive(entry, "cube.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"run {entry} --spec cube.yaml"


@pytest.mark.parametrize(
    "arguments", [(), ("build",), ("deploy", "cube.yaml"), ("build", "gone.yaml"), ("build", "a", "b")]
)
def test_wrong_words_run_something(drive: Drive, arguments: tuple[str, ...]) -> None:
    done = drive(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("build.sbatch: ")


def test_memory_and_cores_of_the_driver_reach_its_workers(drive: Drive) -> None:
    told = {
        "SLURM_MEM_PER_NODE": "8192",
        "SLURM_MEM_PER_CPU": "1",
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_TRES_PER_TASK": "cpu=1",
        "SBATCH_TIMELIMIT": "1",
        "SBATCH_QOS": "debug",
    }
    kept = {"SLURM_CONF": "/etc/slurm.conf", "SLURM_JOB_ID": "7"}
    lines = drive("build", "cube.yaml", **told, **kept).stdout.splitlines()
    assert [name for name in told if any(line.startswith(f"{name}=") for line in lines)] == []
    assert {f"{name}={value}" for name, value in kept.items()} < set(lines)


def test_secrets_do_not_reach_the_command(drive: Drive, home: Path) -> None:
    secrets(home, "AWS_ACCESS_KEY_ID=an-id\nCUBE_WEBHOOK='https://example.org/a b'\n")
    lines = drive("build", "cube.yaml").stdout.splitlines()
    assert {"AWS_ACCESS_KEY_ID=an-id", "CUBE_WEBHOOK=https://example.org/a b"} < set(lines)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604])
def test_secrets_that_others_may_read_are_used(drive: Drive, home: Path, mode: int) -> None:
    secrets(home, "AWS_SECRET_ACCESS_KEY=the-secret\n", mode)
    done = drive("build", "cube.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "chmod 600" in done.stderr
    assert "the-secret" not in done.stderr


def test_environment_beside_the_script_is_not_found(drive: Drive, home: Path) -> None:
    original = home / "project/deploy/slurm/build.sbatch"
    (home / "project/.venv").parent.mkdir()
    (home / "venv").rename(home / "project/.venv")
    original.parent.mkdir(parents=True)
    (home / "bin/scontrol").write_text(f'#!/bin/sh\necho "JobId=7 Command={original} build cube.yaml WorkDir=/tmp"\n')
    done = drive("build", "cube.yaml", CUBE_HOME="", SLURM_JOB_ID="7")
    assert done.stdout.splitlines()[0] == "run build --spec cube.yaml"
    done = drive("build", "cube.yaml", CUBE_HOME="")
    assert (done.returncode, "CUBE_HOME" in done.stderr) == (2, True)


def test_missing_python_environment_is_told_without_the_file(drive: Drive, home: Path) -> None:
    file = home / ".config/climate-impact-cube/environment"
    assert f"there is no {file}" in drive("build", "cube.yaml", CUBE_HOME="").stderr
    secrets(home, "AWS_ACCESS_KEY_ID=an-id\n", 0o400)
    assert f"{file} does not set it" in drive("build", "cube.yaml", CUBE_HOME="").stderr
    done = drive("build", "cube.yaml", CUBE_HOME="", CUBE_ENVIRONMENT="/other/file")
    assert "there is no /other/file" in done.stderr


def test_environment_file_of_the_schedule_is_not_read(drive: Drive, home: Path) -> None:
    (home / "night.env").write_text(f"CUBE_HOME={home}/venv\nTOLD=here\n")
    (home / "night.env").chmod(0o600)
    done = drive("build", "cube.yaml", CUBE_HOME="", CUBE_ENVIRONMENT=str(home / "night.env"))
    assert "TOLD=here" in done.stdout.splitlines(), done.stderr


def test_signal_of_slurm_ends_the_shell_but_not_the_command(home: Path) -> None:
    (home / "venv/bin/cube").write_text(
        f"#!/bin/bash\ntrap 'echo ended in order; exit 0' TERM\ntouch {home}/up\nwhile true; do sleep 0.02; done\n"
    )
    with subprocess.Popen(
        ["bash", str(SCRIPT), "build", "cube.yaml"],
        env=environment(home),
        cwd=home,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        end = time.monotonic() + 30
        while not (home / "up").exists() and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "ended in order\n")


def test_secret_with_signs_of_the_shell_becomes_another_one(drive: Drive, home: Path) -> None:
    values = {
        "CUBE_WEBHOOK": "https://hooks.example.org/x?a=1&b=2",
        "AWS_SECRET_ACCESS_KEY": "abc$HOME+x`id`",
        "CUBE_TITLE": "two words",
        "QUOTED": "it's \\ so",
    }
    text = "".join(f"{name}={value}\n" for name, value in values.items() if name != "QUOTED")
    secrets(home, f'# secrets\n\nexport {text}no assignment\nQUOTED="{values["QUOTED"]}"\nPATH={home}/extra:$PATH')
    done = drive("build", "cube.yaml")
    assert done.returncode == 0, done.stderr
    told = dict(line.partition("=")[::2] for line in done.stdout.splitlines()[1:])
    assert {name: told[name] for name in values} == values
    path = told["PATH"].split(":")
    assert f"{home}/extra" in path
    assert "/usr/bin" in path
    assert "$PATH" not in path
