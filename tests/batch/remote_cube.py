"""A cube made of real files on an object store and on the web, published on that object store; requests are counted."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pystac
import xarray as xr

from tests.s3_server import S3Server

from .published import Published, opened

SPEC = """
title: Remote files
store: s3://{bucket}/cube
storage: {{endpoint_url: "{url}", policy: aws}}
memory: 2 GiB
cluster: {{kind: local, workers: 0}}
products:
  from-s3:
    job: ingest
    collection: remote
    source: cf
    files: s3://{archive}/ecearth/*.nc
    archive: {{endpoint_url: "{url}"}}
    provenance: &open {{licence: CC0-1.0, redistribution: "yes"}}
  from-web:
    job: ingest
    collection: remote
    source: cf
    files:
{addresses}
    provenance: *open
  maps-from-s3:
    job: ingest
    collection: remote
    source: cf
    files: s3://{archive}/c3s/*.nc
    archive: {{endpoint_url: "{url}"}}
    variables: [sm, flag]
    references: {{base_url: "{url}/{archive}/c3s"}}
    provenance: *open
  maps-from-disk:
    job: ingest
    collection: disk
    source: cf
    files: {data}/c3s-sm-daily-active-1991/*.nc
    variables: [sm]
    references: {{base_url: "{url}/{archive}/c3s/"}}
    provenance: *open
  series-from-disk:
    job: ingest
    collection: disk
    source: cf
    files: {data}/hadgem2es-rcp45-mrsos-daily/*.nc
    references: {{base_url: "{url}/{archive}/hadgem2es"}}
    provenance: *open
"""


@dataclass
class Wire:
    """A proxy in front of the object store that remembers (method, path, Range) of every request.

    after  what to do once a GET of a path was answered
    """

    url: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    after: dict[str, Callable[[], None]] = field(default_factory=dict)

    def methods(self, place: str) -> list[str]:
        """Methods of the requests below a bucket or folder; those for records of runs are left out."""
        asked = [(method, path) for method, path, _ in self.asked if "/cube/runs/" not in path]
        return [method for method, path in asked if path.startswith(f"/{place}/") or path == f"/{place}"]


@contextmanager
def wire(target: str) -> Iterator[Wire]:
    """Passes requests on to the address `target` as they are: the signed host stays the proxy's."""
    state, place = Wire(), urlsplit(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _pass_on(self) -> None:
            path = unquote(urlsplit(self.path).path)
            state.asked.append((self.command, path, self.headers.get("Range", "")))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            back = http.client.HTTPConnection(str(place.hostname), place.port)
            back.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                back.putheader(name, value)
            back.endheaders(body or None)
            answer = back.getresponse()
            content = answer.read()
            if self.command == "GET" and (act := state.after.pop(path, None)):
                act()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(content)
            back.close()

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._pass_on)

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

    server = Quiet(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Remote:
    """The cube, the bucket of its archive, the bucket of its store, and what went over the wire.

    first  what was asked while it was built for the first time
    """

    local: Published
    wire: Wire
    client: Any
    archive: str
    bucket: str
    first: list[tuple[str, str, str]] = field(default_factory=list)

    def upload(self, key: str, path: Path) -> None:
        self.client.put_object(Bucket=self.archive, Key=key, Body=path.read_bytes())

    def build(self, *products: str) -> tuple[int, Any]:
        """(exit code, outcome) of a build; the wire remembers what was asked meanwhile."""
        self.wire.asked.clear()
        result = self.local.run("build", "--json", *products)
        assert result.stdout, result.output
        return result.exit_code, json.loads(result.stdout)

    def stored(self) -> dict[str, tuple[str, Any]]:
        """ETag and time of every object of the store but records of runs."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        found = [entry for page in pages for entry in page.get("Contents", ())]
        entries = [entry for entry in found if "/runs/" not in entry["Key"]]
        return {entry["Key"]: (entry["ETag"], entry["LastModified"]) for entry in entries}

    def item(self, name: str) -> pystac.Item:
        """A product's item, found from the public address of the catalogue without credentials."""
        catalogue = pystac.Catalog.from_file(f"{self.wire.url}/{self.bucket}/cube/catalog.json")
        return next(item for item in catalogue.get_items(recursive=True) if item.id == name)

    def open(self, name: str, **options: Any) -> xr.Dataset:
        return opened(self.item(name), **options)


def remote_cube(folder: Path, server: S3Server, passing: Wire, data: Path) -> Remote:
    """An archive bucket that everybody may read, and the specification of a cube made from it; nothing is built."""
    client = server.client()
    mark = secrets.token_hex(4)
    made = Remote(Published(folder), passing, client, f"archive-{mark}", f"published-{mark}")
    client.create_bucket(Bucket=made.archive)
    readable = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{made.archive}/*"],
    }
    policy = {"Version": "2012-10-17", "Statement": [readable]}
    client.put_bucket_policy(Bucket=made.archive, Policy=json.dumps(policy))
    for place, name in (
        ("ecearth", "ecearth-historical-tas-daily"),
        ("chirps", "chirps-nevada-daily"),
        ("c3s", "c3s-sm-daily-active-1991"),
        ("hadgem2es", "hadgem2es-rcp45-mrsos-daily"),
    ):
        for path in sorted((data / name).iterdir()):
            made.upload(f"{place}/{path.name}", path)
    names = sorted(path.name for path in (data / "chirps-nevada-daily").iterdir())
    addresses = "\n".join(f"      - {passing.url}/{made.archive}/chirps/{name}" for name in names)
    text = SPEC.format(bucket=made.bucket, archive=made.archive, url=passing.url, addresses=addresses, data=data)
    made.local.spec.write_text(text)
    result = made.local.run("init")
    assert result.exit_code == 0, result.output
    return made
