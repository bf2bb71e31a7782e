"""Public data: what anybody can read without credentials or our package, and what nobody can."""

import json
import logging
import secrets
from typing import Any

import numpy as np
import pytest
import urllib3
import xarray as xr

from cube.errors import MissingObjectError, SpecError, StoreError
from cube.stores import Storage, open_store
from cube.stores.s3 import S3Store
from cube.stores.s3_public import create_bucket, make_public, public_statements

from ...s3_server import S3Server
from .conftest import FaultyServer, Reply

BODY = b"0123456789"
ORIGIN = {"Origin": "https://maps.example.org"}


@pytest.fixture
def store(s3_storage: Storage) -> S3Store:
    """A store below a prefix of a bucket of its own."""
    store = S3Store(f"s3://public-{secrets.token_hex(4)}/cube", s3_storage)
    create_bucket(store)
    return store


def ask(method: str, url: str, **headers: str) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager() as pool:
        return pool.request(method, url, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.s3
def test_anybody_reads_below_the_prefix_and_only_there(store: S3Store) -> None:
    outside = S3Store(f"s3://{store.bucket}/cube-2", store.storage)
    store.put("catalog.json", BODY)
    outside.put("private", BODY)
    assert ask("GET", store.public_href("catalog.json")).status == 403
    make_public(store)
    web = open_store(store.public_href("catalog.json").rpartition("/")[0])
    assert ask("GET", store.public_href("catalog.json")).data == BODY
    assert web.get("catalog.json") == BODY
    assert web.get("catalog.json", -3) == BODY[-3:]
    assert web.get("catalog.json", 2, 5) == BODY[2:5]
    assert web.get("catalog.json", 10) == b""
    assert web.head("catalog.json") == store.head("catalog.json")
    assert web.head("absent") is None
    with pytest.raises(MissingObjectError):
        web.get("absent")
    for method in ("PUT", "DELETE"):
        assert ask(method, store.public_href("catalog.json")).status == 403
    with pytest.raises(StoreError):
        open_store(f"{store.storage.endpoint_url}/{store.bucket}/cube-2").get("private")
    assert store.get("catalog.json") == BODY


@pytest.mark.s3
def test_a_web_page_elsewhere_may_read(store: S3Store) -> None:
    store.put("a", BODY)
    url = store.public_href("a")
    wanted = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "range"}
    make_public(store)
    preflight = ask("OPTIONS", url, **ORIGIN, **wanted)
    assert preflight.status == 200
    assert preflight.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN["Origin"])
    assert preflight.headers["Access-Control-Allow-Headers"].lower() in ("*", "range")
    allowed = preflight.headers["Access-Control-Allow-Methods"]
    assert {method.strip() for method in allowed.split(",")} == {"GET", "HEAD"}
    answer = ask("GET", url, **ORIGIN, Range="bytes=-4")
    assert (answer.status, answer.data) == (206, BODY[-4:])
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN["Origin"])
    exposed = {name.strip().lower() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
    assert {"etag", "content-range", "content-length", "accept-ranges"} <= exposed


@pytest.mark.s3
def test_xarray_alone_opens_a_public_cube(store: S3Store, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    local = tmp_path / "time.zarr"
    values = np.arange(24.0).reshape(4, 6)
    with pytest.warns(UserWarning, match="Consolidated"):
        xr.Dataset({"pr": (("lat", "lon"), values)}).to_zarr(
            local, zarr_format=3, consolidated=True, encoding={"pr": {"chunks": (2, 2), "shards": (4, 6)}}
        )
    for path in local.rglob("*"):
        if path.is_file():
            store.put(f"time.zarr/{path.relative_to(local)}", path.read_bytes())
    make_public(store)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with xr.open_zarr(store.public_href("time.zarr")) as opened:
        np.testing.assert_array_equal(opened["pr"].values, values)


@pytest.mark.s3
def test_rules_made_by_others_are_kept_and_ours_are_not_repeated(s3_server: S3Server, store: S3Store) -> None:
    client, bucket = s3_server.client(), store.bucket
    statement = {
        "Sid": "Theirs",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/theirs/*",
    }
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    rule = {"AllowedMethods": ["PUT"], "AllowedOrigins": ["https://theirs.org"]}
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    other = S3Store(f"s3://{bucket}/other", store.storage)
    for _ in range(2):
        make_public(store)
        make_public(other)
    policy = json.loads(client.get_bucket_policy(Bucket=bucket)["Policy"])
    assert policy["Statement"][0]["Sid"] == "Theirs"
    assert len(policy["Statement"]) == 5
    origins = [one["AllowedOrigins"] for one in client.get_bucket_cors(Bucket=bucket)["CORSRules"]]
    assert origins == [["https://theirs.org"], ["*"]]


@pytest.mark.s3
def test_making_a_bucket_that_is_there_is_fine(store: S3Store) -> None:
    store.put("a", BODY)
    create_bucket(store)
    assert store.get("a") == BODY


def test_a_bucket_of_somebody_else_is_not_taken_for_ours(faulty: FaultyServer) -> None:
    faulty.respond = lambda asked: Reply(409 if asked.method == "PUT" else 403)
    store = S3Store(f"s3://{faulty.bucket}", Storage(endpoint_url=faulty.url, anonymous=True))
    with pytest.raises(StoreError, match="somebody else") as caught:
        create_bucket(store)
    assert caught.value.problems[0].code == "store-permission"


def test_a_bucket_of_aws_is_made_in_its_region() -> None:
    sent: list[Any] = []

    class Recorder:
        def call(self, operation: str, where: str, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
            sent.append(parameters)
            return {}

    class Recorded(S3Store):
        connection = Recorder()

    create_bucket(Recorded("s3://bucket", Storage(region="eu-west-2")))
    create_bucket(Recorded("s3://bucket", Storage(region="us-east-1")))
    create_bucket(Recorded("s3://bucket", Storage(region="x", endpoint_url="https://x.org")))
    place = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-2"}}
    assert sent == [{"Bucket": "bucket"} | place, {"Bucket": "bucket"}, {"Bucket": "bucket"}]


def test_swarm_is_given_its_own_dialect_and_needs_no_cors(
    faulty: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    held: list[bytes] = []

    def respond(asked: Any) -> Reply:
        if "policy" in asked.path and asked.method == "PUT":
            held.append(asked.body)
            return Reply(204)
        return Reply(404) if "policy" in asked.path else Reply(501)

    faulty.respond = respond
    storage = Storage(endpoint_url=faulty.url, anonymous=True, policy="swarm")
    with caplog.at_level(logging.WARNING):
        make_public(S3Store(f"s3://{faulty.bucket}", storage))
    policy = json.loads(held[0])
    [statement] = policy["Statement"]
    # As JASMIN's own portal writes it.
    assert policy["Version"] == "2008-10-17"
    assert {name: statement[name] for name in ("Effect", "Principal", "Action", "Resource")} == {
        "Effect": "Allow",
        "Principal": {"anonymous": ["*"]},
        "Action": ["GetObject", "ListBucket"],
        "Resource": "*",
    }
    assert "CORS" in caplog.text


def test_a_prefix_opens_no_more_than_itself() -> None:
    aws = public_statements("aws", "bucket", "cube/")
    assert [one["Resource"] for one in aws] == ["arn:aws:s3:::bucket/cube/*", "arn:aws:s3:::bucket"]
    assert aws[1]["Condition"] == {"StringLike": {"s3:prefix": "cube/*"}}
    assert public_statements("swarm", "bucket", "cube/")[0]["Resource"] == "/bucket/cube/*"
    sids = {one["Sid"] for prefix in ("", "a/", "b/") for one in public_statements("aws", "bucket", prefix)}
    assert len(sids) == 6
    assert all(sid.isalnum() for sid in sids)


@pytest.mark.s3
def test_the_wrong_dialect_and_none_are_refused(store: S3Store) -> None:
    swarm = S3Store(store.url, store.storage.model_copy(update={"policy": "swarm"}))
    with pytest.raises(StoreError) as caught:
        make_public(swarm)
    assert caught.value.problems[0].code == "store-refused"
    with pytest.raises(SpecError, match=r"storage\.policy"):
        make_public(S3Store(store.url, store.storage.model_copy(update={"policy": "none"})))
