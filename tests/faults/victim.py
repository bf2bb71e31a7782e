"""The processes that are killed. `python -m tests.faults.victim ARGUMENTS` is the `cube` command under `hooks`.

Without arguments it has imported everything and forks a process for each request on its standard input, so that none
has to start an interpreter; it makes no thread and opens no store itself. Tests talk to it by `harness.Victims`.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tests.faults import hooks

LONGEST_SECONDS = 240.0


def _import_all() -> None:
    import distributed  # noqa: F401
    import netCDF4  # noqa: F401
    import rechunker.algorithm  # noqa: F401
    import s3fs  # noqa: F401

    import batch.command  # noqa: F401
    import compute.metrics.job  # noqa: F401
    import cube.stores.s3  # noqa: F401
    import ingest.job
    import ingest.references  # noqa: F401


def _be_killed(arguments: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    """A forked process: one command, in a group of its own."""
    code = 70
    try:
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.environ.update(environment)
        hooks.from_environment()
        from batch.command import main

        main(list(arguments))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 70
    except BaseException:  # noqa: BLE001  whatever it is, the test reads it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(arguments: Sequence[str], environment: Mapping[str, str], log: str) -> int:
    """Exit code of the command, negative for the signal that ended it."""
    process = os.fork()
    if process == 0:
        _be_killed(arguments, environment, log)
    end = time.monotonic() + LONGEST_SECONDS
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(process, signal.SIGABRT)
        time.sleep(0.002)


def _serve() -> None:
    _import_all()
    gc.freeze()  # what is shared with the children stays so
    # The threads of numerical libraries, which are idle.
    warnings.filterwarnings("ignore", message=".*multi-threaded", category=DeprecationWarning)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        answers.write(f"{_run(**request)}\n")
        answers.flush()


if __name__ in ("__main__", "__mp_main__") and os.environ.get(hooks.VARIABLE):
    hooks.from_environment()  # in the processes that a watched one starts, too

if __name__ == "__main__":
    if sys.argv[1:]:
        from batch.command import main

        main(sys.argv[1:])
    else:
        _serve()
