"""A toy cube with a schedule, and receivers of what it tells."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from batch.command import main
from batch.runs import records
from batch.runs.records import Record
from batch.spec import Spec, load_spec
from cube.stores import Store, open_store
from tests.batch.toy import ToyOptions

SECRET = "s3cr3t-part-of-the-address"


class Scheduled:
    """folder holds cube.yaml and the cube; commands run in this process."""

    def __init__(self, folder: Path, schedule: dict[str, Any] | None = None) -> None:
        self.folder = folder
        self.schedule = schedule or {"build": {"cron": "30 2 * * *"}}
        self.write()

    @property
    def spec_path(self) -> Path:
        return self.folder / "cube.yaml"

    def write(self, **options: Any) -> None:
        products = {
            "rain": {"job": "toy", "collection": "inputs", "layout": {"segment": "1 years"}, "days": 800, **options},
            "dry": {
                "job": "metric",
                "collection": "metrics",
                "metric": "dry_days",
                "input": "rain",
                "threshold": "4 mm d-1",
            },
        }
        cube = {
            "title": "Toy cube",
            "store": "./cube",
            "memory": "2 GiB",
            "cluster": {"kind": "local", "workers": 0},
            "schedule": self.schedule,
            "products": products,
        }
        self.spec_path.write_text(yaml.safe_dump(cube, sort_keys=False))

    def spec(self) -> Spec:
        from batch.jobs import OPTIONS

        return load_spec(self.spec_path, {**OPTIONS, "toy": ToyOptions})

    def store(self) -> Store:
        return open_store(self.folder / "cube")

    def cube(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--spec", str(self.spec_path)])

    def latest(self, entry: str = "build") -> Record:
        found = records.latest(self.store(), entry)
        assert found is not None
        return found

    def put(self, record: dict[str, Any], *, latest: bool = True) -> None:
        """Leave a record as another run would have."""
        data = json.dumps(record).encode()
        self.store().put(records.key(record["id"]), data, immutable=False)
        if latest:
            self.store().put(f"runs/latest-{record['entry']}.json", data, immutable=False)


class Receiver:
    """A web server that keeps what is posted to it and answers as it is told: `answers`, then 200."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(json.loads(body))
                receiver.paths.append(self.path)
                status = receiver.answers.pop(0) if receiver.answers else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/hooks/{SECRET}"


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()
