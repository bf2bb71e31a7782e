"""The storage section and the addresses that `open_store` takes."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cube.errors import CubeError
from cube.stores import Storage, open_store
from cube.stores.directory import DirectoryStore
from cube.stores.http import HttpStore
from cube.stores.s3 import S3Store


def test_addresses_name_their_kind_of_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert open_store("cube") == DirectoryStore(tmp_path / "cube")
    assert open_store(tmp_path / "cube").url == (tmp_path / "cube").as_uri()
    assert open_store("~/cube").url == "file:///home/somebody/cube"
    assert open_store("file:///a/b%20c").url == "file:///a/b%20c"
    assert open_store("s3://bucket/a/") == S3Store("s3://bucket/a")
    assert open_store("s3://bucket/a").url == "s3://bucket/a"
    assert open_store("https://x.org/a/") == HttpStore("https://x.org/a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["gs://bucket", "ftp://x.org", "file://host/a", "https://", "s3://bucket/../x"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(CubeError) as caught:
        open_store(url)
    assert caught.value.problems[0].code in ("store-url", "key-invalid")


def test_a_directory_that_a_web_server_shows_has_its_address() -> None:
    store = open_store("/data/cube", Storage(public_url="https://data.example.org/cube/"))
    assert store.public_href("a b/c.json") == "https://data.example.org/cube/a%20b/c.json"
    assert open_store("/data/cube").public_href("a b/c.json") == "/data/cube/a b/c.json"


@pytest.mark.parametrize(
    "options",
    [
        {"endpoint": "https://x.org"},
        {"policy": "azure"},
        {"anonymous": "perhaps"},
        {"endpoint_url": "x.org"},
        {"endpoint_url": "s3://x.org"},
        {"public_url": "https://x.org/?a=1"},
    ],
)
def test_mistaken_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Storage(**options)


def test_credentials_are_explained_where_they_would_be_looked_for() -> None:
    schema = Storage.model_json_schema()
    assert "AWS_ACCESS_KEY_ID" in schema["description"]
    assert all("description" in option for option in schema["properties"].values())
    with pytest.raises(ValidationError, match="AWS_ACCESS_KEY_ID"):
        Storage(secret_access_key="x")
