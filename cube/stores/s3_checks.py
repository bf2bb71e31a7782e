"""Checks that only an object store can be put to: uploads in parts, keys, clocks, unfinished uploads."""

from __future__ import annotations

import datetime
import email.utils
import secrets
import time
from collections.abc import Iterator
from typing import Any

import botocore.exceptions
import botocore.session
import urllib3

from cube.checks import Check, Trial
from cube.stores import s3_parts
from cube.stores.checks import StoreTrials, leftovers
from cube.stores.s3 import S3Store
from cube.stores.s3_connection import StatusError
from cube.stores.s3_object import S3Object

PART_BYTES = 5 * 2**20
"""The least that servers take as a part that is not the last one."""

REFUSED_SECONDS = 900.0
"""S3 servers refuse requests signed by a clock that differs by more than a quarter of an hour."""

NEAR_SECONDS = 12 * 3600.0
"""A key that ends sooner may end within a build."""

_UNKNOWN = (400, 403, 405, 501)


def s3_trials(trials: StoreTrials, store: S3Store) -> Iterator[Trial]:
    """The checks, in their order. trials: those that the store is put to as any store is."""
    yield Trial("store: keys", lambda name: _keys(name, store))
    yield Trial("store: clock", lambda name: _clock(name, store))
    yield Trial("store: upload in parts", trials.after_write(lambda name: _parts(name, trials, store)))
    yield Trial("store: unfinished uploads", trials.after_write(lambda name: _uploads(name, store)))
    yield Trial("store: quota", lambda name: Check(name, "not tried", "S3 has no question for it; ask the provider"))


def _keys(name: str, store: S3Store) -> Check:
    if store.storage.anonymous:
        fix = "remove `storage.anonymous` to build"
        return Check(name, "warning", "`storage.anonymous` is set: nothing can be written", fix)
    try:
        found: Any = botocore.session.Session(profile=store.storage.profile).get_credentials()
    except botocore.exceptions.BotoCoreError as error:
        return Check(name, "problem", f"no usable credentials ({type(error).__name__})", _GIVE_KEYS)
    if found is None:
        return Check(name, "problem", "there are no credentials", _GIVE_KEYS)
    origin = str(getattr(found, "method", "") or "unknown")
    ends: datetime.datetime | None = getattr(found, "_expiry_time", None)
    if ends is None:
        if getattr(found, "token", None):
            what = f"temporary ones (from {origin}); nothing tells when they end"
            return Check(name, "warning", what, "set AWS_CREDENTIAL_EXPIRATION beside them, or use lasting keys")
        return Check(name, "ok", f"nothing tells this machine of an end (from {origin})")
    left = (ends - datetime.datetime.now(datetime.UTC)).total_seconds()
    when = f"{ends.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC (from {origin})"
    if left <= 0:
        return Check(name, "problem", f"they expired at {when}", "get new ones; `cube explain store-credentials`")
    if origin not in ("env", "config-file", "shared-credentials-file"):
        return Check(name, "ok", f"they are renewed by themselves, next at {when}")
    if left < NEAR_SECONDS:
        return Check(name, "warning", f"they expire at {when}", "get new ones before a long build")
    return Check(name, "ok", f"they expire at {when}")


_GIVE_KEYS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE or `storage.profile`"


def _clock(name: str, store: S3Store) -> Check:
    address = store.storage.endpoint_url or "https://s3.amazonaws.com"
    before = time.time()
    try:
        answer = urllib3.request("HEAD", f"{address}/", timeout=10, retries=False, redirect=False)
    except urllib3.exceptions.HTTPError as error:
        return Check(name, "not tried", f"the server did not answer ({type(error).__name__})")
    told = answer.headers.get("Date")
    if told is None:
        return Check(name, "not tried", "the server does not tell its time")
    skew = email.utils.parsedate_to_datetime(told).timestamp() - (before + time.time()) / 2
    what = f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the server's"
    if abs(skew) > REFUSED_SECONDS:
        return Check(name, "problem", f"{what}: requests are refused", "set the clock of this machine (NTP)")
    if abs(skew) > REFUSED_SECONDS / 3:
        return Check(name, "warning", what, "set the clock of this machine (NTP): 900 s are refused")
    return Check(name, "ok", "agrees with the server's")


def _parts(name: str, trials: StoreTrials, store: S3Store) -> Check:
    key, data = trials.key("parts"), secrets.token_bytes(PART_BYTES + 100)
    s3_parts.put_in_parts(
        S3Object(store.connection, store.bucket, store.prefix + key), memoryview(data), {}, PART_BYTES
    )
    around, last = (PART_BYTES - 50, PART_BYTES + 50), store.get(key, -200)
    if store.get(key, *around) != data[slice(*around)] or last != data[-200:]:
        return Check(name, "problem", "an object that was sent in parts came back wrong", "do not use this store")
    return Check(name, "ok", "two parts joined to one object")


def _uploads(name: str, store: S3Store) -> Check:
    where, asked = store.url, {"Bucket": store.bucket, "Prefix": store.prefix}
    try:
        store.connection.call("list_multipart_uploads", where, asked, seen=_UNKNOWN)
    except StatusError as error:
        what = f"the server does not list them ({error.status} {error.code})"
        return Check(name, "warning", what, "give the bucket a rule that ends uploads after some days")
    return leftovers(store, name)
