"""Promise 9: builds that start together, with every kind of lock and with none, on every kind of store."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import xarray as xr
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from batch import jobs
from batch.spec import load_spec
from cube import lock
from cube.errors import SpecError
from cube.stores import open_store
from cube.stores.zarr_store import ZarrReader
from cube.verify import verify
from cube.versions import ProductPath
from tests.batch.archive import rain, write_day
from tests.batch.published import Published
from tests.batch.writers import Starter, Writer

pytestmark = pytest.mark.service

DAYS = 8
RAIN = ProductPath("inputs", "rain")
SPEC = """
title: Writers
store: {store}
{keys}
memory: 1 GiB
cluster: {{kind: local, workers: 0}}
products:
  rain: {{job: ingest, collection: inputs, source: cf, files: archive/*.nc, layout: {{segment: 1 years}}}}
"""


class Project(Published):
    """A cube of one product, made from a file a day."""

    def add(self, *days):
        for day in days:
            write_day(self.folder / "archive", day)
        assert self.run("plan").exit_code == 0, "and every file is known from here on, so that builds start nothing"

    def open(self):
        spec = load_spec(self.spec, jobs.OPTIONS)
        return open_store(spec.store_location, spec.storage)

    def version(self):
        return json.loads(self.open().get(RAIN.item))["properties"]["version"]

    def attempts(self):
        """All versions of which anything is on the store."""
        return {key.split("/")[2] for key in self.open().walk(RAIN.prefix) if key.count("/") > 2}

    def objects(self):
        """The published version's objects as they are."""
        store = self.open()
        return {key: store.get(key) for key in store.walk(RAIN.version(self.version())) if "/ledger/" not in key}

    def assert_whole(self, days=DAYS):
        """What the item points at is whole by its manifest, and plain xarray reads the archive's values from it."""
        store = self.open()
        found = verify(store, RAIN, deep=True)
        assert found.problems == ()
        assert found.read == found.objects > 3
        assert found.version == self.version()
        with xr.open_zarr(ZarrReader(store, f"{RAIN.version(found.version)}/time.zarr")) as data:
            np.testing.assert_array_equal(data["pr"].values, np.stack([rain(day) for day in range(days)]))

    def assert_at_rest(self, days=DAYS):
        """A following plain build finds nothing to do, or finishes what was left; then another finds nothing."""
        for _ in range(2):
            result = self.run("build", "--json")
            assert result.exit_code == 0, result.output
            if json.loads(result.stdout)["current"] == ["rain"]:
                return self.assert_whole(days)
        raise AssertionError(result.stdout)


@pytest.fixture(scope="module")
def starter(s3_server):
    made = Starter()
    yield made
    made.close()


@contextlib.contextmanager
def ignoring_conditions(server):
    """A proxy before the object store that lets every conditional PUT through; it signs the requests anew."""
    target, keys = urlsplit(server.endpoint_url), Credentials(server.access_key, server.secret)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format, *args):
            pass

        def _pass_on(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            own = ("authorization", "host", "if-match", "if-none-match", "connection", "x-amz-date")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in own}
            request = AWSRequest(self.command, f"{server.endpoint_url}{self.path}", headers, body)
            S3SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
            back = http.client.HTTPConnection(target.hostname, target.port)
            back.request(self.command, self.path, body or None, dict(request.headers.items()))
            answer = back.getresponse()
            content = answer.read()
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
        request_queue_size = 64

    proxy = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


@pytest.fixture(scope="module")
def hostile(s3_server):
    """The address of an object store that ignores conditions."""
    with ignoring_conditions(s3_server) as url:
        yield url


KINDS = {
    "directory": (False, False, False),
    "directory with lock folder": (False, False, True),
    "s3": (True, False, False),
    "hostile": (True, True, False),
    "hostile with lock folder": (True, True, True),
}
"""On an object store or in a directory; conditional PUT ignored; with a folder for the lock."""


@pytest.fixture
def project(request, tmp_path, monkeypatch):
    """A project on a store of a kind."""
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "identities"))
    far, hostile, folder = KINDS[getattr(request, "param", "directory")]
    store, keys = "./cube", ""
    if far:
        server = request.getfixturevalue("s3_server")
        url = request.getfixturevalue("hostile") if hostile else server.endpoint_url
        store, keys = f"s3://{server.bucket}/{secrets.token_hex(6)}", f'storage: {{endpoint_url: "{url}"}}'
    if folder:
        (tmp_path / "locks").mkdir()
        keys += "\nlock: ./locks"
    made = Project(tmp_path)
    made.spec.write_text(SPEC.format(store=store, keys=keys))
    made.add(*range(DAYS))
    return made


def check_one_published(project, writers, days=DAYS):
    """One published; the others name who held the lock, or came when all was done."""
    said = "\n".join(each.said for each in writers)
    (publisher,) = (each for each in writers if each.published)
    assert publisher.published == [project.version()], said
    everybody = {each.process for each in writers}
    for each in writers:
        assert each.code in (0, 7), each.said
        if each.code == 7:
            process, host = each.blamed
            assert process in everybody - {each.process}, each.said
            assert host == socket.gethostname()
        elif each is not publisher:
            assert "nothing to do" in each.said, each.said
    project.assert_whole(days)


@pytest.mark.parametrize(
    ("project", "count"),
    [("directory", 16), ("directory with lock folder", 16), ("s3", 16), ("hostile with lock folder", 4)],
    indirect=["project"],
)
def test_builds_that_start_together_publish_twice_or_do_not_say_who_is_at_work(project, starter, count):
    """Their clocks differ by minutes, too."""
    check_one_published(project, starter.run(project.folder, [{"shift": 420}, {"shift": -420}] * (count // 2)))
    assert project.attempts() == {project.version()}
    project.assert_at_rest()


def test_version_of_a_clock_that_is_ahead_is_not_replaced(project, starter):
    check_one_published(project, starter.run(project.folder, [{"shift": 420}]))
    project.add(DAYS)
    check_one_published(project, starter.run(project.folder, [{"shift": -420}] * 2), DAYS + 1)
    project.assert_at_rest(DAYS + 1)


OTHER_PACKAGES = """
import sys
from cube import shards
shards.CODEC = {**shards.CODEC, "clevel": 3}
for module in list(sys.modules.values()):
    if hasattr(module, "package_version"):
        module.package_version = lambda name: "0"
"""
"""Another release of a package may write the same values as other bytes."""


@pytest.mark.parametrize("project", ["hostile"], indirect=True)
def test_store_that_ignores_conditions_is_not_warned_of_or_gets_a_mixed_version(project, starter):
    writers = starter.run(project.folder, [{}, {"patch": OTHER_PACKAGES}] * 2)
    project.assert_whole()
    for each in writers:
        assert each.code in (0, 7), each.said
        assert not each.published or "[lock-not-atomic]" in each.said
    assert project.version() in {version for each in writers for version in each.published}
    project.assert_at_rest()


@pytest.mark.parametrize("project", ["hostile"], indirect=True)
@pytest.mark.parametrize("count", [3, pytest.param(16, marks=pytest.mark.soak)])
def test_builds_without_any_lock_mix_their_versions(project, starter, count):
    patches = ["", OTHER_PACKAGES] * count
    writers = starter.run(project.folder, [{"locked": False, "patch": each} for each in patches[:count]])
    said = [version for each in writers for version in each.published]
    assert len(said) == len(set(said)), "no two of them believe that a version is theirs"
    assert project.version() in said
    for each in writers:
        assert each.code == 0 or "[superseded]" in each.said, each.said
    project.assert_whole()
    project.assert_at_rest()


def stopping(where):
    """A patch that stops the process the first time it comes to `where`."""
    return f"""
import os, signal
from cube import lock, stage
from cube.stores.directory import DirectoryStore
from cube.stores.s3 import S3Store
pending = [1]
def stop():
    if pending:
        pending.clear()
        os.kill(os.getpid(), signal.SIGSTOP)
if {where!r} == "before the check":
    def stop_and_encode(*arguments, real=stage.encode_variable):
        stop()
        return real(*arguments)
    stage.encode_variable = stop_and_encode
else:
    for kind in (DirectoryStore, S3Store):
        def put(self, key, data, real=kind.put, **options):
            if "/pr/c/" in key:
                stop()
            return real(self, key, data, **options)
        kind.put = put
"""


def wait_until_stopped(process):
    deadline = time.monotonic() + 60
    while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("project", ["directory", "s3"], indirect=True)
def test_build_that_was_stopped_blocks_others_or_writes_when_it_goes_on(project, starter, monkeypatch):
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1.0)
    (process,) = starter.begin(project.folder, [{"patch": OTHER_PACKAGES + stopping("before the check")}])
    wait_until_stopped(process)
    result = project.run("build")
    assert result.exit_code == 0, result.output
    assert f"locked by process {process}" in result.output
    before = project.objects()
    os.kill(process, signal.SIGCONT)
    (writer,) = starter.ended()
    assert writer.code == 7, writer.said
    assert "the lock was lost while this build was at work" in writer.said
    assert project.objects() == before
    project.assert_at_rest()


@pytest.mark.parametrize("packages", [pytest.param("", id="same"), pytest.param(OTHER_PACKAGES, id="other")])
def test_build_stopped_within_a_write_changes_the_version_of_another(project, starter, monkeypatch, packages):
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1.0)
    (process,) = starter.begin(project.folder, [{"patch": packages + stopping("within the write")}])
    wait_until_stopped(process)
    assert project.run("build").exit_code == 0
    before = project.objects()
    os.kill(process, signal.SIGCONT)
    (writer,) = starter.ended()
    assert writer.code == 7, writer.said
    assert project.objects() == before
    project.assert_whole()


@pytest.mark.parametrize("machine", ["this", "another"])
def test_build_that_was_killed_blocks_others(project, starter, monkeypatch, machine):
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1.0)
    patch = stopping("within the write")
    if machine == "another":
        patch += "lock.machine = lambda: 'another boot pid:[1]'"
    (process,) = starter.begin(project.folder, [{"patch": patch}])
    wait_until_stopped(process)
    os.kill(process, signal.SIGKILL)
    starter.ended()
    result = project.run("build")
    assert result.exit_code == 0, result.output
    assert (f"locked by process {process}" in result.output) == (machine == "another")
    project.assert_at_rest()


def test_lock_folder_that_is_not_mounted_is_made_or_not_told_of(project):
    project.spec.write_text(project.spec.read_text() + "lock: ./absent\n")
    result = project.run("build", "--json")
    assert result.exit_code == 5
    assert json.loads(result.stdout)["problems"][0]["code"] == "lock-folder"
    assert not (project.folder / "absent").exists()
    assert not (project.folder / "cube" / "inputs").exists()


@pytest.mark.parametrize("place", ["s3://bucket/locks", "./locks/*"])
def test_lock_that_is_no_folder_is_accepted(tmp_path, place):
    (tmp_path / "cube.yaml").write_text(SPEC.format(store="./cube", keys=f"lock: {place}"))
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "cube.yaml", jobs.OPTIONS)
    (problem,) = caught.value.problems
    assert problem.where.endswith("lock")
    assert "one folder of a disk" in problem.what


@pytest.mark.soak
@pytest.mark.parametrize(("project", "kind"), [(kind, kind) for kind in KINDS], indirect=["project"])
def test_sixteen_commands_publish_twice_or_a_mixed_version(project, kind):
    """Real commands, in rounds of one more day each."""
    command = [str(Path(sys.executable).with_name("cube")), "build", "--spec", str(project.spec)]
    for days in range(DAYS, DAYS + 3):
        started = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(16)
        ]
        writers = [
            Writer(each.pid, code, said)
            for each in started
            if (said := each.communicate()[0]) is not None and (code := each.returncode) is not None
        ]
        if kind == "hostile":
            project.assert_whole(days)
        else:
            check_one_published(project, writers, days)
        project.assert_at_rest(days)
        project.add(days)
