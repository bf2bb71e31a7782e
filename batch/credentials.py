"""Credentials do not belong in a specification: find them, and keep them out of every message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch.report import Report
    from cube.wording import KeyPath

_WORDS = frozenset({"secret", "secrets", "password", "passwd", "passphrase", "pwd", "token", "tokens"})
_PHRASES = re.compile(r"(access|secret|api|private|account)key(id)?|credentials?$|sessiontoken|secretaccess")
_VALUES = re.compile(
    r"""(?<=://)[^/\s@]+@                         # https://user:password@host
    | (?-i:\b(AKIA|ASIA)[0-9A-Z]{16}\b)           # an AWS access key
    | [?&](X-Amz-[A-Za-z-]+|Signature|AWSAccessKeyId|sig|token|access_token|api_key)=[^&\s]*   # a signed address
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----(?s:.*)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def names_secret(key: str) -> bool:
    """Whether a key such as `aws_secret_access_key`, `secretKey` or `API-token` names a credential."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    parts = re.split(r"[^a-z0-9]+", words)
    return not _WORDS.isdisjoint(parts) or bool(_PHRASES.search("".join(parts)))


def without_credentials(value: Any, report: Report, path: KeyPath = ()) -> Any:
    """`value` without the credentials in it, each of which is reported; the values themselves are never shown."""
    if isinstance(value, dict):
        result = {}
        for key, item in value.items():
            if _is_secret_key(path, key):
                _report(report, (*path, key))
            else:
                result[key] = without_credentials(item, report, (*path, key))
        return result
    if isinstance(value, list):
        return [without_credentials(item, report, (*path, number)) for number, item in enumerate(value)]
    if isinstance(value, str) and _VALUES.search(value):
        _report(report, path)
        return _VALUES.sub("", value)
    return value


def _is_secret_key(path: KeyPath, key: str) -> bool:
    # Below these are names that the user chose, not keys.
    if path in {("products",), ("collections",)} or (len(path) == 3 and path[0] == "products" and path[2] == "each"):
        return False
    # s3fs calls the two halves of a credential `key` and `secret`.
    return names_secret(key) or (key == "key" and path[-1:] in {("storage",), ("archive",)})


def _report(report: Report, path: KeyPath) -> None:
    report.add(
        path,
        "spec-secret",
        "looks like a credential, which a specification must not hold",
        danger="specifications are shared and kept in version control, and options are published in manifests",
        fix="remove it here, and replace the credential if this file was ever shared. Give credentials to the "
        "process: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or a profile in ~/.aws/credentials",
    )
