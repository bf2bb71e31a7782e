"""A server's refusals and failures as errors of ours, without any text of the server's."""

from __future__ import annotations

from cube.errors import MissingObjectError, Problem, StoreError
from cube.stores.retry import TransientError

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524, 529})
"""HTTP answers worth another try; never 403."""

_TRANSIENT = frozenset(
    {
        "BadDigest",  # the body was damaged on its way
        "ConditionalRequestConflict",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "TooManyRequests",
        "XAmzContentSHA256Mismatch",
    }
)
_CREDENTIALS = frozenset(
    {
        "CredentialsNotSupported",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_FULL = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"})
_NO_BUCKET = frozenset({"InvalidBucketName", "NoSuchBucket"})


def refusal(status: int, code: str, operation: str, where: str) -> TransientError | StoreError:
    """The error for an answer of HTTP status 300 or more.

    code       the S3 error code, or ""
    operation  what was asked for, such as "get_object"

    TransientError where asking again may help, MissingObjectError for 404 and 410, else StoreError.
    """
    answer = f"{operation} was answered {status}" + (f" {code}" if code and code != str(status) else "")
    if code in _FULL or status == 507:
        return store_full(answer, where)
    if code in _TRANSIENT or status in TRANSIENT_STATUS:
        return TransientError(unavailable(answer, where))
    if code in _CREDENTIALS:
        return no_credentials(f"the credentials are refused ({answer})", where)
    if code == "RequestTimeTooSkewed":
        what = f"this machine's clock differs from the server's ({answer})"
        return StoreError(Problem("store-clock", what, where, fix="set the clock (NTP)"))
    if status in (401, 403):
        fix = "check the credentials and the bucket's policy; some servers answer so for what does not exist"
        return StoreError(Problem("store-permission", f"no permission ({answer})", where, fix=fix))
    if code in _NO_BUCKET:
        fix = "create the bucket, or correct its name in `store:` or the address in `storage.endpoint_url`"
        return StoreError(Problem("store-missing", f"there is no such bucket ({answer})", where, fix=fix))
    if status in (404, 410):
        return missing(where)
    return not_possible(answer, where)


def missing(where: str) -> MissingObjectError:
    """There is no such object."""
    return MissingObjectError(
        Problem("object-missing", "there is no such object", where, fix="run `cube verify` to see what else is missing")
    )


def store_full(what: str, where: str) -> StoreError:
    """Disk or quota is used up."""
    return StoreError(
        Problem(
            "store-full",
            f"the store is full or its quota is used up ({what})",
            where,
            "nothing was published; what is published is untouched",
            "make room or ask for more, then run the same command again",
        )
    )


def no_credentials(what: str, where: str) -> StoreError:
    """Credentials are missing or refused."""
    return StoreError(
        Problem(
            "store-credentials",
            what,
            where,
            fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE or `storage.profile`; "
            "for public data set `storage.anonymous: true`",
        )
    )


def not_possible(what: str, where: str) -> StoreError:
    """The server does not do what was asked."""
    return StoreError(
        Problem(
            "store-refused",
            what,
            where,
            fix="compare `store:` and `storage:` with what the server's documentation asks for",
        )
    )


def unavailable(what: str, where: str) -> StoreError:
    """The server failed; it may be well again later."""
    return StoreError(
        Problem(
            "store-unavailable",
            what,
            where,
            "what is published is untouched",
            "run the same command again when the server is well; it goes on where it stopped",
        )
    )


def cut_off(operation: str, name: str, where: str) -> TransientError:
    """The connection ended before the answer was whole."""
    return TransientError(unavailable(f"{operation}: the answer was cut off ({name})", where))


def unreachable(name: str, where: str, *, answered: bool) -> TransientError:
    """No connection could be made.

    answered  the server has answered this process before, so that waiting longer makes sense
    """
    if answered:
        return TransientError(unavailable(f"no connection to the server ({name})", where))
    return TransientError(
        StoreError(
            Problem(
                "store-unreachable",
                f"no connection to the server ({name})",
                where,
                "what is published is untouched",
                "check the address (`storage.endpoint_url`), the network and, for https, the certificates",
            )
        ),
        contact=True,
    )
