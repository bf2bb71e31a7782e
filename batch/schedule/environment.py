"""The file with what runs need and a specification must not hold."""

from __future__ import annotations

import os
import re
from pathlib import Path

from batch.spec import Spec
from cube.errors import Problem, SpecError


def load_environment(spec: Spec) -> None:
    """Set the variables of `schedule.environment`; those set already stay, but folders of PATH are put in front.

    A file that is absent is none: on another machine the variables may come another way. Lines are `NAME=value`; quotes
    around a value, `export` before a name, empty lines and those that begin with # are left out.

    Raises SpecError for a file that is another user's or that others may read, and, after the others were heeded, for
    lines of another form, which are not shown.
    """
    if spec.schedule is None or spec.schedule.environment is None:
        return
    path = Path(spec.resolve(spec.schedule.environment))
    try:
        status, lines = path.stat(), path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(Problem("schedule-environment", f"cannot be read: {type(error).__name__}", str(path))) from None
    if status.st_uid != os.geteuid():
        what = f"the file is that of user {status.st_uid}, not of user {os.geteuid()}, who runs this"
        fix = f"chown {os.geteuid()} {path}"
        raise SpecError(Problem("schedule-environment", what, str(path), "its owner could change it", fix))
    if status.st_mode & 0o077:
        raise SpecError(
            Problem(
                "schedule-environment",
                "others than its owner may read or change the file",
                str(path),
                "it holds secrets",
                f"chmod 600 {path}",
            )
        )
    wrong = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*?)\s*", line)
        if not match:
            wrong.append(Problem("schedule-environment", "the line is not NAME=value", f"{path}:{number}"))
            continue
        name, value = match[1], match[2]
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        if name == "PATH":
            # Every cron sets one, without what modules would add. A shell that reads this file knows $PATH.
            there = os.environ.get("PATH", os.defpath).split(":")
            ahead = [each for each in value.split(":") if each and "$" not in each and each not in there]
            value = os.environ["PATH"] = ":".join([*ahead, *there])
        os.environ.setdefault(name, value)
    if wrong:
        raise SpecError(wrong)
