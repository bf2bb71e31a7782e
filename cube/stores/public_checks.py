"""What people without credentials can do with a store: read it, from web pages too, and not write it."""

from __future__ import annotations

from collections.abc import Iterator

import urllib3

from cube.checks import Check, Trial
from cube.errors import MissingObjectError
from cube.stores.checks import StoreTrials
from cube.stores.s3 import S3Store

ORIGIN = "https://example.org"
"""A web page elsewhere."""

CATALOGUE = "catalog.json"

_NOTHING = "nothing is published yet"
_PREPARE = "run `cube init`: it sets policy and CORS"


def public_trials(trials: StoreTrials) -> Iterator[Trial]:
    """The checks of a store that readers reach over HTTP. Objects are written by the checks made before."""
    yield Trial("store: public read", trials.after_write(lambda name: _read(name, trials)))
    if isinstance(trials.store, S3Store):
        yield Trial("store: public write", trials.after_write(lambda name: _write(name, trials)))
    yield Trial("store: CORS", trials.after_write(lambda name: _cors(name, trials)))


def _ask(
    method: str, url: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> urllib3.BaseHTTPResponse:
    return urllib3.request(method, url, headers=headers, body=body, timeout=10, retries=False, redirect=False)


def _target(trials: StoreTrials) -> tuple[str, bytes] | None:
    """The public address of an object and its content; None where nothing is there that a web server must show."""
    store = trials.store
    try:
        # Some web servers show only what readers need.
        return store.public_href(CATALOGUE), store.get(CATALOGUE)
    except MissingObjectError:
        if not isinstance(store, S3Store):
            return None
    key = trials.key("public")
    store.put(key, trials.content)
    return store.public_href(key), trials.content


def _read(name: str, trials: StoreTrials) -> Check:
    target = _target(trials)
    if target is None:
        return Check(name, "not tried", _NOTHING)
    url, content = target
    try:
        whole, part = _ask("GET", url), _ask("GET", url, {"Range": "bytes=-20"})
    except urllib3.exceptions.HTTPError as error:
        fix = "correct `storage.public_url` or `storage.endpoint_url`"
        return Check(name, "problem", f"no answer at the public address ({type(error).__name__})", fix)
    if whole.status in (401, 403):
        return Check(name, "problem", f"refused without credentials ({whole.status})", _PREPARE)
    if whole.status != 200 or whole.data != content:
        found = f"answered {whole.status}" + (" with other bytes" if whole.status == 200 else "")
        return Check(name, "problem", f"the public address {found}", "correct `storage.public_url` or `storage.policy`")
    if part.status != 206 or part.data != content[-20:]:
        found = f"suffix ranges are not kept (answered {part.status})"
        return Check(name, "problem", found, "readers of sharded Zarr need them: choose another public address")
    return Check(name, "ok", "anybody can read, ranges too")


def _write(name: str, trials: StoreTrials) -> Check:
    assert isinstance(trials.store, S3Store)
    storage = trials.store.storage
    key = trials.key("anonymous")
    server = S3Store(trials.store.url, storage.model_copy(update={"public_url": None, "policy": "aws"}))
    try:
        status = _ask("PUT", server.public_href(key), body=b"anybody").status
    except urllib3.exceptions.HTTPError as error:
        return Check(name, "not tried", f"no answer ({type(error).__name__})")
    if status < 300:
        fix = (
            "take the right to write from everybody in the bucket's policy and access lists, then `cube verify --deep`"
        )
        return Check(name, "problem", "anybody can write", fix)
    return Check(name, "ok", f"refused without credentials ({status})")


def _cors(name: str, trials: StoreTrials) -> Check:
    target = _target(trials)
    if target is None:
        return Check(name, "not tried", _NOTHING)
    url = target[0]
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    try:
        read = _ask("GET", url, {"Origin": ORIGIN})
        before = _ask("OPTIONS", url, {"Origin": ORIGIN, **asked})
    except urllib3.exceptions.HTTPError as error:
        return Check(name, "not tried", f"no answer ({type(error).__name__})")
    if not _allows(read):
        what = "web pages elsewhere cannot read (no Access-Control-Allow-Origin)"
        return Check(
            name, "warning", what, _PREPARE if isinstance(trials.store, S3Store) else "set it on the web server"
        )
    if before.status >= 300 or not _allows(before):
        what = f"web pages elsewhere cannot read ranges (OPTIONS was answered {before.status})"
        return Check(name, "warning", what, "allow the header Range in the server's CORS rules")
    return Check(name, "ok", "web pages elsewhere can read, ranges too")


def _allows(answer: urllib3.BaseHTTPResponse) -> bool:
    return answer.headers.get("Access-Control-Allow-Origin") in ("*", ORIGIN)
