"""Credentials in a specification are refused, and never repeated."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from batch.credentials import names_secret
from batch.spec import Spec
from cube.errors import Problem

Load = Callable[[str], Spec]
Faults = Callable[[str], list[Problem]]

HIDDEN = "hunter2-8vQx"
PRODUCTS = "products: {x: {job: ingest, collection: c, source: cru, files: a.nc}}\n"


@pytest.mark.parametrize(
    "key",
    [
        "secret",
        "aws_secret_access_key",
        "AWS_ACCESS_KEY_ID",
        "accessKey",
        "secretKey",
        "access-key",
        "api_key",
        "apiKey",
        "password",
        "db.password",
        "Token",
        "session_token",
        "credentials",
        "private_key",
    ],
)
def test_keys_that_name_credentials(key: str) -> None:
    assert names_secret(key)


@pytest.mark.parametrize("key", ["keywords", "key", "tokenise", "secretary", "profile", "passes", "monkey_id", "x"])
def test_keys_that_do_not(key: str) -> None:
    assert not names_secret(key)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f"storage: {{secret: {HIDDEN}}}\n", "cube.yaml:3 storage.secret"),
        (f"storage: {{key: {HIDDEN}, region: uk}}\n", "cube.yaml:3 storage.key"),
        (f"storage:\n  credentials:\n    key: {HIDDEN}\n", "cube.yaml:4 storage.credentials"),
        (f"storage: {{endpoint_url: 'https://user:{HIDDEN}@example.org'}}\n", "cube.yaml:3 storage.endpoint_url"),
        (f"token: {HIDDEN}\n", "cube.yaml:3 token"),
        (f"description: see https://{HIDDEN}@example.org/x\n", "cube.yaml:3 description"),
        (f"description: https://example.org/x?X-Amz-Signature={HIDDEN}&a=b\n", "cube.yaml:3 description"),
        (f"description: https://example.org/x?a=b&token={HIDDEN}\n", "cube.yaml:3 description"),
        (f"description: |\n  -----BEGIN RSA PRIVATE KEY-----\n  {HIDDEN}\n", "cube.yaml:3 description"),
        (f"cluster: {{kind: local, password: {HIDDEN}}}\n", "cube.yaml:3 cluster.password"),
        (f"storage: [{{secret: [{HIDDEN}]}}]\n", "cube.yaml:3 storage[0].secret"),
    ],
)
def test_credential_is_refused_and_not_repeated(faults: Faults, text: str, where: str) -> None:
    problems = faults(f"title: a\nstore: b\n{text}{PRODUCTS}")
    assert HIDDEN not in "\n".join(map(str, problems))
    (secret,) = [problem for problem in problems if problem.code == "spec-secret"]
    assert secret.where == where
    assert "AWS_SECRET_ACCESS_KEY" in secret.fix


def test_credential_is_told_once_not_also_as_an_unknown_key_or_bad_value(faults: Faults) -> None:
    text = f"title: a\nstore: b\nstorage: {{secret: {HIDDEN}, endpoint_url: 'https://u:{HIDDEN}@h.org'}}\n{PRODUCTS}"
    assert [problem.code for problem in faults(text)] == ["spec-secret", "spec-secret"]


def test_aws_key_in_a_value(faults: Faults) -> None:
    key = "AKIA" + "IOSFODNN7EXAMPLE"
    (problem,) = faults(f"title: a\nstore: b\ndescription: use {key}\n{PRODUCTS}")
    assert problem.code == "spec-secret"
    assert key not in str(problem)


def test_credentials_of_an_archive_and_in_file_addresses(faults: Faults) -> None:
    problems = faults(f"""\
        title: a
        store: b
        products:
          x:
            job: ingest
            collection: c
            source: cru
            files: [a.nc, 'https://user:{HIDDEN}@example.org/b.nc']
            archive: {{key: {HIDDEN}}}
        """)
    places = [problem.where for problem in problems if problem.code == "spec-secret"]
    assert places == ["cube.yaml:8 products.x.files[1]", "cube.yaml:9 products.x.archive.key"]
    assert HIDDEN not in "\n".join(map(str, problems))


def test_names_that_the_user_chose_are_no_keys(load: Load) -> None:
    spec = load("""\
        title: a
        store: b
        collections: {secret: {}}
        products:
          token: {job: ingest, collection: secret, source: cru, files: a.nc}
          p-{key}: {each: {key: [a]}, job: ingest, collection: secret, source: cru, files: a.nc}
        """)
    assert list(spec.products) == ["token", "p-a"]


def test_addresses_without_credentials_are_left_alone(load: Load) -> None:
    spec = load(f"title: a\nstore: b\ndescription: write to me@example.org, https://example.org/a?b=c\n{PRODUCTS}")
    assert spec.description == "write to me@example.org, https://example.org/a?b=c"
