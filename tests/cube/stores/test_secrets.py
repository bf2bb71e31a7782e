"""Nothing secret in any text: provoke every error there is with a secret at hand, and look for it."""

import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from cube.errors import CubeError
from cube.stores import Storage, open_store, retry
from cube.stores.s3_public import create_bucket, make_public

from .conftest import FaultyServer, Reply

SECRET = "Abc/VerySecret+1234567890abcdefghijklmnop"
KEY = "AKIAVERYSECRETKEY123"


@pytest.fixture
def in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"token-{SECRET}")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.05)


def texts(error: BaseException) -> str:
    parts = [str(error), repr(error), "".join(traceback.format_exception(error))]
    if isinstance(error, CubeError):
        parts += [str(problem.to_json()) for problem in error.problems]
    return "\n".join(parts)


def expect_silence(call: Callable[[], Any], log: pytest.LogCaptureFixture, kind: type[Exception] = CubeError) -> None:
    log.clear()
    with log.at_level(logging.DEBUG, logger="cube"), pytest.raises(kind) as caught:
        call()
    ours = "\n".join(record.getMessage() for record in log.records if record.name.startswith("cube"))
    for hidden in (SECRET, KEY, "VerySecret", "VERYSECRET"):
        assert hidden not in texts(caught.value)
        assert hidden not in ours


@pytest.mark.usefixtures("in_the_environment")
@pytest.mark.parametrize("status", [400, 403, 404, 500])
@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "Anything"])
def test_a_server_that_repeats_secrets_is_not_quoted(
    faulty: FaultyServer, caplog: pytest.LogCaptureFixture, status: int, code: str
) -> None:
    # Real servers repeat the key and what was signed.
    body = f"<Error><Code>{code}</Code><Message>{KEY} {SECRET}</Message><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>"
    faulty.replies(Reply(status, body.encode(), {"x-amz-request-id": SECRET}))
    store = open_store(f"s3://{faulty.bucket}", Storage(endpoint_url=faulty.url))
    for call in (
        lambda: store.get("a"),
        lambda: store.put("a", b"1"),
        lambda: store.copy("a", "b"),
        lambda: list(store.walk("")),
        lambda: store.put_if_unchanged("a", b"1", None),
        lambda: create_bucket(store),
        lambda: make_public(store),
    ):
        expect_silence(call, caplog)


@pytest.mark.usefixtures("in_the_environment")
def test_connections_that_fail_tell_no_secrets(mortal: FaultyServer, caplog: pytest.LogCaptureFixture) -> None:
    mortal.close()
    store = open_store("s3://bucket", Storage(endpoint_url=mortal.url))
    expect_silence(lambda: store.get("a"), caplog)
    expect_silence(lambda: open_store("s3://bucket", Storage(endpoint_url=mortal.url, profile="x")).get("a"), caplog)


@pytest.mark.s3
def test_a_wrong_secret_is_not_told(
    s3_url: str, s3_storage: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    store = open_store(s3_url, s3_storage)
    expect_silence(lambda: store.get("a"), caplog)
    expect_silence(lambda: store.put("a", b"1"), caplog)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    expect_silence(lambda: store.head("a"), caplog)


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@example.org/cube",
        f"https://example.org/cube?X-Amz-Signature={SECRET}",
        f"https://example.org/cube#{SECRET}",
        f"s3://{KEY}:{SECRET}@bucket/prefix",
        f"ftp://{SECRET}@example.org",
        f"https://[{SECRET}",
    ],
)
def test_an_address_that_holds_a_secret_is_refused_without_quoting_it(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    expect_silence(lambda: open_store(url), caplog)
    expect_silence(lambda: Storage(endpoint_url=url), caplog, ValidationError)


@pytest.mark.parametrize("name", ["secret_access_key", "aws_session_token", "password", "accessKey"])
def test_credentials_in_the_specification_are_refused_without_quoting_them(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    expect_silence(lambda: Storage(**{name: SECRET}), caplog, ValidationError)


@pytest.mark.usefixtures("in_the_environment")
def test_a_store_carries_no_secret(faulty: FaultyServer) -> None:
    store = open_store(f"s3://{faulty.bucket}/cube", Storage(endpoint_url=faulty.url))
    faulty.replies(Reply(body=b"1"))
    assert store.get("a") == b"1"
    for text in (repr(store), str(store), store.url, store.public_href("a"), repr(store.storage)):
        assert SECRET not in text
        assert KEY not in text
    assert SECRET.encode() not in pickle.dumps(store)
    assert KEY.encode() not in pickle.dumps(store)
