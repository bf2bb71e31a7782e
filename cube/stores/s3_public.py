"""Making a bucket, and letting everybody read what is below a store."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any, Literal

from cube.errors import MissingObjectError, Problem, SpecError, StoreError
from cube.stores.s3 import S3Store
from cube.stores.s3_connection import StatusError

_log = logging.getLogger(__name__)

_CORS = {
    "ID": "cube-public-read",
    "AllowedMethods": ["GET", "HEAD"],
    "AllowedOrigins": ["*"],
    "AllowedHeaders": ["*"],
    "ExposeHeaders": ["Accept-Ranges", "Content-Length", "Content-Range", "Content-Type", "ETag", "Last-Modified"],
    "MaxAgeSeconds": 3600,
}


def create_bucket(store: S3Store) -> None:
    """Make the store's bucket unless it is there.

    Raises StoreError where the name belongs to somebody else.
    """
    where, storage = f"s3://{store.bucket}", store.storage
    elsewhere = storage.endpoint_url is None and storage.region not in (None, "us-east-1")
    place: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": storage.region}} if elsewhere else {}
    try:
        store.connection.call("create_bucket", where, {"Bucket": store.bucket} | place, seen=(409,))
        return
    except StatusError:
        pass  # it exists: ours or somebody else's
    try:
        store.connection.call("head_bucket", where, {"Bucket": store.bucket}, seen=(301, 403))
    except (StatusError, MissingObjectError):
        raise StoreError(
            Problem(
                "store-permission",
                "the bucket exists and belongs to somebody else",
                where,
                fix="choose another name, or ask its owner for access",
            )
        ) from None


def make_public(store: S3Store) -> None:
    """Let everybody read what is below the store, from any web page too.

    The bucket's own rules are kept: only the statement and the rule made here before are replaced. A server that knows
    no CORS rules is warned about. Raises SpecError where the storage section names no policy dialect.
    """
    dialect = store.storage.policy
    if dialect == "none":
        raise SpecError(
            Problem(
                "storage-policy",
                "making a store public needs the dialect of the server's bucket policy",
                store.url,
                fix="set `storage.policy` to aws, or to swarm for DataCore Swarm (JASMIN)",
            )
        )
    _set_policy(store, dialect)
    _set_cors(store)


def public_statements(dialect: Literal["aws", "swarm"], bucket: str, prefix: str) -> list[dict[str, Any]]:
    """Statements of a bucket policy by which everybody may read and list `prefix` ("" or ending in "/").

    Listing is part of it because servers answer 403 instead of 404 for a missing object to those who may not list.
    """
    mark = "CubePublic" + hashlib.sha256(prefix.encode()).hexdigest()[:8]
    if dialect == "swarm":
        return [
            {
                "Sid": mark,
                "Effect": "Allow",
                "Principal": {"anonymous": ["*"]},
                "Action": ["GetObject", "ListBucket"],
                "Resource": f"/{bucket}/{prefix}*" if prefix else "*",
            }
        ]
    everybody: dict[str, Any] = {"Effect": "Allow", "Principal": "*"}
    listing = {"Sid": f"{mark}List", **everybody, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"}
    if prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": f"{prefix}*"}}
    return [
        {"Sid": f"{mark}Read", **everybody, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/{prefix}*"},
        listing,
    ]


def _set_policy(store: S3Store, dialect: Literal["aws", "swarm"]) -> None:
    where = f"s3://{store.bucket}"
    try:
        policy = json.loads(store.connection.call("get_bucket_policy", where, {"Bucket": store.bucket})["Policy"])
    except MissingObjectError:
        policy = {"Version": "2012-10-17" if dialect == "aws" else "2008-10-17", "Id": f"{store.bucket} policy"}
    ours = public_statements(dialect, store.bucket, store.prefix)
    held = policy.get("Statement", [])
    others = [one for one in ([held] if isinstance(held, dict) else held) if one.get("Sid") not in _sids(ours)]
    policy["Statement"] = others + ours
    store.connection.call("put_bucket_policy", where, {"Bucket": store.bucket, "Policy": json.dumps(policy)})


def _sids(statements: list[dict[str, Any]]) -> set[str]:
    return {str(one["Sid"]) for one in statements}


def _set_cors(store: S3Store) -> None:
    where, unknown = f"s3://{store.bucket}", (400, 405, 501)
    try:
        held = store.connection.call("get_bucket_cors", where, {"Bucket": store.bucket}, seen=unknown)["CORSRules"]
    except MissingObjectError:
        held = []
    except StatusError as error:
        _warn_cors(store, error)
        return
    rules = [rule for rule in held if rule.get("ID") != _CORS["ID"] and rule | {"ID": _CORS["ID"]} != _CORS]
    try:
        store.connection.call(
            "put_bucket_cors",
            where,
            {"Bucket": store.bucket, "CORSConfiguration": {"CORSRules": [*rules, _CORS]}},
            seen=unknown,
        )
    except StatusError as error:
        _warn_cors(store, error)


def _warn_cors(store: S3Store, error: StatusError) -> None:
    _log.warning(
        "s3://%s: the server takes no CORS rules (%s %s); web pages elsewhere cannot read it",
        store.bucket,
        error.status,
        error.code,
    )
