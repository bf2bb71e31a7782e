"""The `storage:` section of the specification: how to reach a store. Credentials are never part of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from cube.options import Strict

_SECRET_WORDS = ("secret", "password", "token", "credential", "access_key", "api_key")


class Storage(Strict):
    """How to reach an object store.

    Credentials are not given here: they come from the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), from
    the AWS configuration files (AWS_PROFILE or `profile`) or from the machine's role, in botocore's usual order.
    """

    # A mistaken secret must not be quoted in the error that refuses it.
    model_config = ConfigDict(hide_input_in_errors=True)

    endpoint_url: str | None = Field(
        default=None, description="the server's address, such as https://tenancy-o.s3-ext.jc.rl.ac.uk; without it, AWS"
    )
    public_url: str | None = Field(
        default=None,
        description="the address of the store's root for readers without credentials, written into the catalogue; "
        "by default endpoint_url/bucket/prefix where `policy` is given, else the store's own s3:// address",
    )
    region: str | None = Field(default=None, description="region name, where the server needs one")
    profile: str | None = Field(
        default=None, description="profile of the AWS configuration files that holds the credentials"
    )
    anonymous: bool = Field(default=False, description="read public data without credentials")
    policy: Literal["aws", "swarm", "none"] = Field(
        default="none",
        description="dialect of the bucket policy that lets everybody read: aws (AWS, Ceph, MinIO, SeaweedFS), "
        "swarm (DataCore Swarm, as at JASMIN), or none to leave the bucket's access as it is",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_secrets(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            secret = [str(name) for name in values if any(word in str(name).lower() for word in _SECRET_WORDS)]
            if secret:
                raise ValueError(
                    f"{', '.join(secret)}: credentials never stand in the specification; "
                    "give them by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or by a profile"
                )
        return values

    @field_validator("endpoint_url", "public_url")
    @classmethod
    def _plain_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        return plain_url(value)


def plain_url(url: str) -> str:
    """An http(s) address without its last slash.

    Raises ValueError, which does not quote the address, for other schemes and for what may hold a secret: a user part,
    a query, a fragment.
    """
    # Before it is taken apart: Python's own errors quote what they cannot read.
    if any(character in url for character in "@?#"):
        raise ValueError("an address holds no user, password, query or fragment")
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ValueError("an address begins with http:// or https:// and names a host")
    return url.rstrip("/")
