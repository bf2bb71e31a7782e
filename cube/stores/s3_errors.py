"""What botocore and aiohttp raise, as errors of ours."""

from __future__ import annotations

import re

import aiohttp
import botocore.exceptions as boto
from botocore.parsers import ResponseParserError

from cube.errors import StoreError
from cube.stores import answers
from cube.stores.retry import TransientError

RAISED = (boto.BotoCoreError, boto.ClientError, ResponseParserError, aiohttp.ClientError, OSError, RecursionError)
"""What a request may raise that `request_error` understands. RecursionError: a bucket that redirects to itself."""

_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.TokenRetrievalError,
    boto.SSOError,
)
_CUT_OFF = (
    boto.ReadTimeoutError,
    boto.ConnectionClosedError,
    boto.ResponseStreamingError,
    boto.IncompleteReadError,
    aiohttp.ClientError,
    TimeoutError,
    ConnectionError,
)


def status_of(error: BaseException) -> int:
    """The HTTP status of a server's refusal; 0 where there was no answer."""
    if not isinstance(error, boto.ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code_of(error: BaseException) -> str:
    """The S3 error code of a server's refusal, letters and digits only."""
    code = str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""
    return re.sub(r"[^A-Za-z0-9]", "", code)[:60]


def request_error(error: BaseException, operation: str, where: str, *, answered: bool) -> TransientError | StoreError:
    """TransientError where the request is worth repeating, else StoreError or MissingObjectError.

    answered  the server has answered this process before
    """
    name = type(error).__name__
    if isinstance(error, boto.ClientError):
        return answers.refusal(status_of(error), code_of(error), operation, where)
    if isinstance(error, _NO_CREDENTIALS):
        return answers.no_credentials(f"no usable credentials ({name})", where)
    if isinstance(error, _CUT_OFF):
        return answers.cut_off(operation, name, where)
    if isinstance(error, boto.ConnectionError | boto.HTTPClientError):
        return answers.unreachable(name, where, answered=answered)
    if isinstance(error, ResponseParserError):
        what = f"{operation}: the answer is not an object store's"
        return TransientError(answers.unavailable(what, where), contact=not answered)
    return answers.not_possible(f"{operation} is not possible ({name})", where)
