"""What a scheduler starts: the command of this installation, by absolute paths."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from batch.schedule.options import Schedule
from batch.spec import Spec
from cube.errors import Problem, SpecError


@dataclass(frozen=True)
class Installed:
    """What every form of a schedule is made of.

    id     of the cube
    cube   the command's file
    spec   the specification's file
    logs   the folder of the output
    environment  the file with what a specification must not hold
    """

    id: str
    cube: Path
    spec: Path
    logs: Path
    schedule: Schedule
    environment: Path | None = None

    def run(self, entry: str) -> list[str]:
        """The words of the command that runs an entry."""
        return [str(self.cube), "run", entry, "--spec", str(self.spec)]


def schedule_of(spec: Spec) -> Schedule:
    """The schedule of a specification. Raises SpecError where there is none."""
    if spec.schedule is None:
        raise SpecError(
            Problem(
                "schedule-none",
                "the specification has no `schedule:`",
                str(spec.path),
                fix='add one, such as `schedule: {build: {cron: "30 2 * * *"}}`',
            )
        )
    return spec.schedule


def installed(spec: Spec) -> Installed:
    """This installation and a specification. Raises SpecError where there is no schedule, or a path has line ends."""
    schedule = schedule_of(spec)
    # The interpreter's own name, links not followed: that is what makes it the one of this environment.
    cube = Path(sys.executable).absolute().parent / "cube"
    environment = Path(spec.resolve(schedule.environment)) if schedule.environment else None
    found = Installed(spec.id, cube, spec.path.absolute(), Path(spec.resolve(schedule.logs)), schedule, environment)
    paths = (found.cube, found.spec, found.logs, found.environment)
    if any(ord(character) < 32 for path in paths for character in str(path)):
        raise SpecError(Problem("schedule-path", "a path holds a control character", repr(str(found.spec))))
    return found
