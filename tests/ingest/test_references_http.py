"""Published references as strangers read them: over HTTP, by ranges, without any package of ours."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from fsspec.implementations.reference import LazyReferenceMapper

from ingest.references import References, build_references

from .reference_archive import originals, referenced, write_days


@dataclass
class Web:
    """A web server of `objects` by path; `asked` lists (path, Range header)."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def publish(self, references: References) -> None:
        self.objects.update({f"/cube/{name}": content for name, content in references.objects.items()})

    def archive(self, paths: list[Path]) -> None:
        self.objects.update({f"/archive/{path.name}": path.read_bytes() for path in paths})


@pytest.fixture
def web() -> Iterator[Web]:
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET(body=False)

        def do_GET(self, body: bool = True) -> None:
            wanted = self.headers.get("Range", "")
            state.asked.append((self.path, wanted))
            content = state.objects.get(self.path)
            status, headers = 404 if content is None else 200, {"Accept-Ranges": "bytes"}
            content = content or b""
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
            if match and status == 200:
                start, stop = int(match[1]), int(match[2] or len(content) - 1) + 1
                headers["Content-Range"] = f"bytes {start}-{min(stop, len(content)) - 1}/{len(content)}"
                content, status = content[start:stop], 206
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def open_published(web: Web, references: References) -> xr.Dataset:
    if references.format == "json":
        # Without remote_options fsspec refuses: Zarr reads asynchronously, and HTTP must say that it does too.
        storage = {
            "fo": f"{web.url}/cube/references.json",
            "remote_protocol": "http",
            "remote_options": {"asynchronous": True},
        }
        return xr.open_dataset(
            "reference://", engine="zarr", backend_kwargs={"storage_options": storage, "consolidated": False}
        )
    return by_kerchunk(web, "references.parquet")


def by_kerchunk(web: Web, name: str) -> xr.Dataset:
    return xr.open_dataset(f"{web.url}/cube/{name}", engine="kerchunk", storage_options={"remote_protocol": "http"})


# fsspec reads kerchunk's Parquet by fastparquet through pandas, which tells every reader so.
@pytest.mark.filterwarnings("ignore:The 'fastparquet' engine is deprecated")
@pytest.mark.parametrize("parquet_above", [10**9, 0])
def test_any_reader_gets_the_values_by_ranges(web: Web, tmp_path: Path, parquet_above: int) -> None:
    paths = [
        write_days(tmp_path / "a.nc", 0, 5, zlib=True),
        write_days(tmp_path / "b.nc", 5, 4, zlib=True, units="hours since 1950-01-01"),
        write_days(tmp_path / "c.nc", 9, 6, zlib=True, units="days since 1970-01-10"),
    ]
    web.archive(paths)
    files = referenced(paths, f"{web.url}/archive")
    references = build_references(files, ["rain"], smallest_chunk=1, parquet_above=parquet_above)
    assert references.format == ("json" if parquet_above else "parquet")
    web.publish(references)
    expected = originals(paths)
    with open_published(web, references) as found, by_kerchunk(web, f"references.{references.format}") as other:
        xr.testing.assert_identical(found.load(), other.load())
        for name in ("rain", "time", "lat", "lon"):
            np.testing.assert_array_equal(found[name].values, expected[name].values)
    touched = [wanted for path, wanted in web.asked if path.startswith("/archive")]
    assert touched
    assert all(touched), "a whole file was asked for"


@pytest.mark.filterwarnings("ignore:The 'fastparquet' engine is deprecated")
def test_parquet_names_every_chunk_that_json_names(tmp_path: Path) -> None:
    paths = [write_days(tmp_path / f"{n}.nc", 3 * n, 3) for n in range(5)]
    files = referenced(paths)
    text = build_references(files, ["rain"], smallest_chunk=1)
    table = build_references(files, ["rain"], smallest_chunk=1, parquet_above=0)
    for name, content in table.objects.items():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    mapper = LazyReferenceMapper(str(tmp_path / "references.parquet"))
    chunks = {
        key: value
        for key, value in json.loads(text.objects["references.json"])["refs"].items()
        if isinstance(value, list)
    }
    assert len(chunks) == text.entries == table.entries == 15
    assert {key: list(mapper[key]) for key in chunks} == chunks


@pytest.mark.shared
def test_c3s_days_over_http(web: Web, shared: Path) -> None:
    paths = sorted((shared / "data" / "c3s-sm-daily-active-1991").glob("*.nc"))
    web.archive(paths)
    references = build_references(referenced(paths, f"{web.url}/archive"), ["sm", "flag"])
    web.publish(references)
    with open_published(web, references) as found:
        first, last = found["sm"][0].values, found["sm"][-1].values
    np.testing.assert_array_equal(first, originals(paths[:1])["sm"].values[0])
    np.testing.assert_array_equal(last, originals(paths[-1:])["sm"].values[0])
    assert int(np.isfinite(first).sum()) == 5_899
    assert len([path for path, _ in web.asked if path.startswith("/archive")]) <= 4
