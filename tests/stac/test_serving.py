from __future__ import annotations

import http.client
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cube.errors import CubeError, MissingObjectError
from stac.requests import byte_range, served_key
from stac.serving import Server, serve

BODY = bytes(range(100))
PRODUCT = "/inputs/rain-hadgem2-es"
VERSION = f"{PRODUCT}/0123456789ab-1"
OBJECT = f"{VERSION}/time.zarr/pr/c/9/9/9"
ITEM = f"{PRODUCT}/rain-hadgem2-es.json"


def with_object(root: Path) -> Path:
    path = root / OBJECT[1:]
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    return root


@pytest.fixture(scope="module")
def server(cube_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that all tests share: of a cube with all that must stay hidden, beside a secret."""
    folder = tmp_path_factory.mktemp("served")
    root = with_object(Path(shutil.copytree(cube_template, folder / "cube")))
    (folder / "secret").write_text("SECRET")
    version = root / VERSION[1:]
    (version / "leads-out").symlink_to(folder / "secret")
    (version / "folder-out").symlink_to(folder)
    (version / "state").symlink_to(root / PRODUCT[1:] / "state.json")
    os.mkfifo(version / "pipe")
    (version / "tmp").mkdir()
    for path in (
        root / "other.json",
        version.parent / "other.json",
        version / ".hidden",
        version / "tmp" / "pass.array",
    ):
        path.write_bytes(b"{}")
    with serve(root) as running:
        yield running


@pytest.fixture
def root(cube_directory: Path) -> Path:
    return with_object(cube_directory)


@pytest.fixture
def own(root: Path) -> Iterator[Server]:
    """A server of a cube that the test may change."""
    with serve(root) as running:
        yield running


Answer = tuple[int, dict[str, str], bytes]


def ask(server: Server, target: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, target, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def send(server: Server, raw: bytes) -> bytes:
    """What comes back for bytes that no client library would send."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(raw)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=0-0", slice(0, 1)),
        ("bytes=90-", slice(90, 100)),
        ("bytes=-7", slice(93, 100)),
        ("bytes=-1000", slice(0, 100)),
        ("bytes=95-1000", slice(95, 100)),
        ("bytes=99-99", slice(99, 100)),
        ("BYTES=1-2", slice(1, 3)),
    ],
)
def test_range_gives_just_the_bytes(server: Server, header: str, part: slice) -> None:
    status, headers, body = ask(server, OBJECT, Range=header)
    assert (status, body) == (206, BODY[part])
    assert headers["content-range"] == f"bytes {part.start}-{part.stop - 1}/100"
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=999999999999-"])
def test_range_outside_is_not_satisfiable(server: Server, header: str) -> None:
    status, headers, body = ask(server, OBJECT, Range=header)
    assert (status, body) == (416, b"")
    assert headers["content-range"] == "bytes */100"


@pytest.mark.parametrize(
    "header",
    ["items=0-9", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=9-0", "bytes=0-1,5-6", f"bytes={'9' * 5000}-"],
)
def test_range_that_is_not_understood_is_ignored(server: Server, header: str) -> None:
    status, headers, body = ask(server, OBJECT, Range=header)
    assert (status, body) == (200, BODY)
    assert "content-range" not in headers


def test_range_of_a_changed_file_is_not_mixed_with_the_old_one(own: Server, root: Path) -> None:
    etag = ask(own, OBJECT)[1]["etag"]
    assert ask(own, OBJECT, Range="bytes=0-9", If_Range=etag)[0] == 206
    new = root / "new"
    new.write_bytes(BODY[::-1])
    new.replace(root / OBJECT[1:])
    status, _, body = ask(own, OBJECT, Range="bytes=0-9", If_Range=etag)
    assert (status, body) == (200, BODY[::-1])
    assert ask(own, OBJECT, Range="bytes=0-9", If_Range="Sun, 22 Nov 2026 08:00:00 GMT")[0] == 200


def test_head_tells_the_size_and_sends_nothing(server: Server) -> None:
    status, headers, body = ask(server, OBJECT, "HEAD", Range="bytes=0-9")
    assert (status, body, headers["content-length"]) == (200, b"", "100")
    assert headers["accept-ranges"] == "bytes"
    assert ask(server, f"{VERSION}/none", "HEAD")[0] == 404


def test_empty_object_is_served(own: Server, root: Path) -> None:
    (root / VERSION[1:] / "empty").write_bytes(b"")
    assert ask(own, f"{VERSION}/empty")[::2] == (200, b"")
    assert ask(own, f"{VERSION}/empty", Range="bytes=0-")[0] == 416
    assert ask(own, f"{VERSION}/empty", Range="bytes=-1")[0] == 416


@settings(deadline=None)
@given(st.binary(max_size=20), st.integers(0, 25), st.integers(0, 25))
def test_ranges_equal_slices(data: bytes, first: int, last: int) -> None:
    def cut(header: str) -> bytes | None:
        try:
            part = byte_range(header, len(data))
        except ValueError:
            return None
        return data if part is None else data[slice(*part)]

    if first <= last:
        assert cut(f"bytes={first}-{last}") == (data[first : last + 1] or None)
    assert cut(f"bytes={first}-") == (data[first:] or None)
    assert cut(f"bytes=-{first}") == ((data[-first:] if first else b"") or None)


@pytest.mark.parametrize(
    "target",
    [
        "/../secret",
        "/inputs/../../secret",
        "/%2e%2e/secret",
        "/inputs/%2e%2e/%2e%2e/secret",
        "/..%2fsecret",
        "/%252e%252e/secret",
        f"{VERSION}/../../../../secret",
        f"{VERSION}/%2e%2e/state.json",
        f"{VERSION}/..\\..\\secret",
        f"{VERSION}/time.zarr/zarr.json%00.txt",
        f"{VERSION}/%ff%fe",
        f"{VERSION}/time.zarr//zarr.json",
        f"{VERSION}/leads-out",
        f"{VERSION}/folder-out/secret",
        f"{VERSION}/state",
        "/etc/passwd",
        "//etc/passwd",
    ],
)
def test_nothing_outside_is_reached(server: Server, target: str) -> None:
    answer = send(server, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"SECRET" not in answer


@pytest.mark.parametrize(
    "target",
    [
        "/lock",
        "/runs/1.json",
        f"{PRODUCT}/state.json",
        f"{VERSION}/ledger/claim.json",
        f"{VERSION}/tmp/pass.array",
        f"{VERSION}/.hidden",
        f"{VERSION}/time.zarr/.zmetadata",
        "/.git/config",
        "/other.json",
        f"{PRODUCT}/other.json",
        "/inputs",
        "/inputs/",
        PRODUCT,
        VERSION,
        f"{VERSION}/time.zarr",
        f"{VERSION}/time.zarr/",
        f"{VERSION}/pipe",
    ],
)
def test_what_readers_do_not_need_is_hidden_and_nothing_is_listed(server: Server, target: str) -> None:
    status, headers, body = ask(server, target)
    assert (status, body) == (404, b"404 Not Found\n")
    assert headers["cache-control"] == "no-cache"


def test_variable_called_tmp_is_not_hidden(own: Server, root: Path) -> None:
    for name in ("tmp", "lock", "ledger"):
        path = root / VERSION[1:] / "time.zarr" / name / "c" / "0"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        assert ask(own, f"{VERSION}/time.zarr/{name}/c/0")[0] == 200


@settings(deadline=None)
@given(st.text(max_size=30))
def test_no_target_names_a_key_that_climbs(text: str) -> None:
    key = served_key(f"/{text}")
    assert key is None or all(part and part not in {".", ".."} and "/" not in part and "\0" not in part for part in key)


@pytest.mark.parametrize(
    ("target", "kind", "caching"),
    [
        ("/", "application/json", "no-cache"),
        ("/catalog.json", "application/json", "no-cache"),
        ("/catalog.json?x=1", "application/json", "no-cache"),
        ("http://any.example/catalog.json", "application/json", "no-cache"),
        ("/inputs/collection.json", "application/json", "no-cache"),
        (ITEM, "application/geo+json", "no-cache"),
        (f"{VERSION}/manifest.json", "application/json", "public, max-age=31536000, immutable"),
        (f"{VERSION}/time.zarr/zarr.json", "application/json", "public, max-age=31536000, immutable"),
        (f"{VERSION}/time%2Ezarr/zarr.json", "application/json", "public, max-age=31536000, immutable"),
        (OBJECT, "application/octet-stream", "public, max-age=31536000, immutable"),
    ],
)
def test_types_and_caching(server: Server, target: str, kind: str, caching: str) -> None:
    status, headers, _ = ask(server, target)
    assert (status, headers["content-type"], headers["cache-control"]) == (200, kind, caching)
    assert headers["x-content-type-options"] == "nosniff"


def test_unchanged_item_is_not_sent_again_and_a_flipped_one_is(own: Server, root: Path) -> None:
    etag = ask(own, ITEM)[1]["etag"]
    for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        status, headers, body = ask(own, ITEM, If_None_Match=header)
        assert (status, body, headers["etag"]) == (304, b"", etag)
    new = root / "new"
    new.write_bytes((root / ITEM[1:]).read_bytes())
    new.replace(root / ITEM[1:])
    assert ask(own, ITEM, If_None_Match=etag)[0] == 200


def test_browsers_of_other_origins_may_read_ranges(server: Server) -> None:
    preflight = {"Origin": "https://browser.example", "Access_Control_Request_Method": "GET"}
    status, headers, body = ask(server, OBJECT, "OPTIONS", Access_Control_Request_Headers="range", **preflight)
    assert (status, body) == (204, b"")
    assert headers["access-control-allow-origin"] == "*"
    assert "Range" in headers["access-control-allow-headers"]
    assert headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    for target in (OBJECT, f"{VERSION}/none"):
        headers = ask(server, target, Range="bytes=0-1")[1]
        assert headers["access-control-allow-origin"] == "*"
        assert "Content-Range" in headers["access-control-expose-headers"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_written(own: Server, root: Path, method: str) -> None:
    before = (root / ITEM[1:]).read_bytes()
    status, headers, _ = ask(own, ITEM, method)
    assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (root / ITEM[1:]).read_bytes() == before


def test_body_of_one_request_is_not_taken_for_the_next(server: Server) -> None:
    hidden = b"GET /catalog.json HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = send(server, b"GET /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(hidden), hidden))
    assert answer.count(b"HTTP/1.1 ") == 1


def test_connection_is_kept_after_an_absent_object(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for target, status in ((f"{VERSION}/none", 404), (OBJECT, 200), (OBJECT, 200)):
        connection.request("GET", target)
        response = connection.getresponse()
        assert (response.status, response.will_close) == (status, False)
        response.read()
    connection.close()


def test_many_readers_at_once(server: Server) -> None:
    def read(start: int) -> bytes:
        return ask(server, OBJECT, Range=f"bytes={start}-{start}")[2]

    with ThreadPoolExecutor(16) as pool:
        assert b"".join(pool.map(read, range(100))) == BODY


def test_close_ends_open_connections_and_frees_the_port(root: Path) -> None:
    threads = set(threading.enumerate())
    running = serve(root)
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    connection.request("GET", OBJECT)
    assert connection.getresponse().read() == BODY
    running.close()
    running.close()
    running.wait()
    assert set(threading.enumerate()) <= threads
    assert connection.sock is None or connection.sock.recv(1) == b""
    connection.close()
    with serve(root, port=running.port) as again:
        assert again.url == running.url


def test_taken_port_is_an_error(server: Server, root: Path) -> None:
    with pytest.raises(CubeError) as caught:
        serve(root, port=server.port)
    assert [problem.code for problem in caught.value.problems] == ["serve-address"]


def test_directory_that_is_no_cube_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(MissingObjectError) as caught:
        serve(tmp_path)
    assert [problem.code for problem in caught.value.problems] == ["serve-no-cube"]


def test_cube_behind_a_symlink_is_served(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    with serve(tmp_path / "link") as running:
        assert ask(running, ITEM)[0] == 200
