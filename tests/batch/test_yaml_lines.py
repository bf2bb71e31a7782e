"""YAML is read safely, by YAML 1.2, with the line of every value."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from batch.yaml_lines import MAX_BYTES, Document, read_yaml
from cube.errors import Problem, SpecError
from cube.wording import KeyPath


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("yaml")


def read(folder: Path, text: str | bytes) -> Document:
    path = folder / "cube.yaml"
    path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
    return read_yaml(path)


def refusal(folder: Path, text: str | bytes) -> Problem:
    with pytest.raises(SpecError) as caught:
        read(folder, text)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("2006-01-01", "2006-01-01"),
        ("06:15", "06:15"),
        ("12:30:45", "12:30:45"),
        ("010", 10),
        ("0x10", 16),
        ("0o10", 8),
        ("-3", -3),
        ("1e3", 1000.0),
        ("1_000", "1_000"),
        ("2.5", 2.5),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("~", None),
        ("", None),
        ('"12"', "12"),
        ("4 GiB", "4 GiB"),
        ("10.5285/abc", "10.5285/abc"),
        ("!!str 12", "12"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(folder: Path, text: str, value: object) -> None:
    document = read(folder, f"key: {text}\n")
    assert document.value == {"key": value}
    assert type(document.value["key"]) is type(value)
    assert document.problems == ()


def test_not_a_number_is_read(folder: Path) -> None:
    value = read(folder, "key: .nan").value["key"]
    assert value != value


def test_keys_are_texts_as_written(folder: Path) -> None:
    assert read(folder, "2006: a\ntrue: b\n1.50: c").value == {"2006": "a", "true": "b", "1.50": "c"}


def test_lines_of_keys_items_and_flow_sections(folder: Path) -> None:
    document = read(
        folder,
        """\
        # comment
        title: a

        products:
          tamsat:
            files:
              - one
              # another
              - two
            gaps: {max_days: 2,
                   periods: []}
            text: >
              folded
              over lines
            last: 1
        """,
    )
    expected: dict[KeyPath, int] = {
        ("title",): 2,
        ("products",): 4,
        ("products", "tamsat", "files"): 6,
        ("products", "tamsat", "files", 1): 9,
        ("products", "tamsat", "gaps", "max_days"): 10,
        ("products", "tamsat", "gaps", "periods"): 11,
        ("products", "tamsat", "last"): 15,
    }
    assert {path: document.line(path) for path in expected} == expected
    assert document.where(("products", "tamsat", "files", 1)).endswith("cube.yaml:9 products.tamsat.files[1]")
    assert document.line(("products", "tamsat", "absent", "deeper")) == 5


def test_aliases_and_merge_keys_work_and_own_keys_win(folder: Path) -> None:
    document = read(
        folder,
        """\
        base: &base {a: 1, b: 2}
        more: &more {b: 3, c: 4}
        one: {<<: *base, b: 9}
        two:
          <<: [*base, *more]
        same: *base
        """,
    )
    # PyYAML itself knows merge keys.
    assert document.value == yaml.safe_load((folder / "cube.yaml").read_text())
    assert document.line(("one", "a")) == 1
    assert document.line(("one", "b")) == 3
    assert document.line(("same",)) == 6


def test_repeated_key_names_both_lines(folder: Path) -> None:
    document = read(folder, "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 4\n")
    assert document.value == {"a": 1, "b": {"c": 1, "d": 2}}
    found = [(line, problem.code, problem.what) for line, problem in document.problems]
    assert found == [
        (6, "spec-duplicate-key", "the key 'a' is written twice, first on line 1"),
        (5, "spec-duplicate-key", "the key 'c' is written twice, first on line 3"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system",
        "!!set {a, b}",
        "!!binary aGFsbG8=",
        "!!timestamp 2001-01-01",
        "!local x",
        "!!int abc",
        "!!bool maybe",
    ],
)
def test_tags_make_no_objects(folder: Path, text: str) -> None:
    document = read(folder, f"a: 1\nkey: {text}\n")
    assert document.value == {"a": 1, "key": None}
    ((line, problem),) = document.problems
    assert (line, problem.code) == (2, "spec-yaml")


def test_section_as_key_is_refused(folder: Path) -> None:
    document = read(folder, "? [a, b]\n: 1\nc: 2\n")
    assert document.value == {"c": 2}
    assert [problem.what for _, problem in document.problems] == ["a key must be a text"]


def test_anchor_that_contains_itself_is_refused(folder: Path) -> None:
    assert refusal(folder, "a: &x\n  b: *x\n").what == "an anchor contains itself"
    assert refusal(folder, "a: &x\n  <<: *x\n").what == "an anchor contains itself"


@pytest.mark.parametrize("merge", [False, True])
def test_aliases_of_aliases_do_not_unfold_without_bound(folder: Path, merge: bool) -> None:
    lines = ["a0: &a0 {k: 1}"]
    for level in range(1, 40):
        before = f"*a{level - 1}"
        content = f"{{<<: [{before}, {before}]}}" if merge else f"[{before}, {before}]"
        lines.append(f"a{level}: &a{level} {content}")
    assert "unfolds to more than" in refusal(folder, "\n".join(lines)).what


def test_deep_nesting_is_refused(folder: Path) -> None:
    assert refusal(folder, "a: " + "[" * 5_000).what == "values are nested too deeply to be a specification"


def test_missing_file_and_folder_instead_of_file(folder: Path) -> None:
    with pytest.raises(SpecError, match="there is no such file"):
        read_yaml(folder / "absent.yaml")
    with pytest.raises(SpecError, match="cannot be read"):
        read_yaml(folder)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "\ufeff"])
def test_empty_file(folder: Path, text: str) -> None:
    assert refusal(folder, text).what == "the file is empty"


def test_data_files_are_not_yaml(folder: Path) -> None:
    assert refusal(folder, b"\x89HDF\r\n\x1a\n\x00\x00").what == "byte 0 is not UTF-8 text"
    assert refusal(folder, b"CDF\x01\x00\x00\x00\x00").code == "spec-yaml"
    assert "are too many" in refusal(folder, b"a" * (MAX_BYTES + 1)).what


def test_byte_order_mark_is_no_part_of_the_first_key(folder: Path) -> None:
    assert read(folder, "\ufefftitle: a").value == {"title": "a"}


@pytest.mark.parametrize(
    ("text", "line", "fix"),
    [
        ("a: 1\nfiles: **/rfe*.nc\n", 2, "in quotes"),
        ("a: 1\nb:\n  files: {gcm}/tas.nc\n", 3, "in quotes"),
        ("a:\n  files: [x_{gcm}.nc, b]\n", 2, "inside [ ] and { }"),
        ("a:\n\t- b\n", 2, "indent with spaces"),
        ("a: 1\ntitle: Rain: daily\n", 2, "a colon and a space"),
        ("a: 1\n---\nb: 2\n", 2, "remove the line"),
        ("a: [1, 2\nb: 3\n", 2, "brackets"),
        ("a: 'open\n", 2, "check quotes"),
    ],
)
def test_what_is_not_yaml_is_told_with_line_and_remedy(folder: Path, text: str, line: int, fix: str) -> None:
    problem = refusal(folder, text)
    assert problem.code == "spec-yaml"
    assert problem.where.endswith(f"cube.yaml:{line}")
    assert fix in problem.fix


def test_syntax_error_beside_a_password_does_not_quote_it(folder: Path) -> None:
    for text in ("storage:\n  secret: *hunter2\n", "storage:\n  password: @hunter2\n"):
        problem = refusal(folder, text)
        assert "hunter2" not in str(problem)
        assert ":2" in problem.where


_keys = st.text("abcdefgh-_", min_size=1, max_size=8)
_scalars = st.one_of(st.none(), st.booleans(), st.integers(-999, 999), st.text("xyz{}*: #'\"\n", max_size=9))
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=20,
)


@given(value=st.dictionaries(_keys, _values, min_size=1, max_size=5), flow=st.sampled_from([None, False]))
def test_values_and_lines_agree_with_what_was_written(folder: Path, value: dict[str, Any], flow: bool | None) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, sort_keys=False)
    document = read(folder, text.encode())
    assert document.value == value
    lines = text.splitlines()
    for path, line in document.lines.items():
        if path and isinstance(path[-1], str):
            # A key that looks like something else is dumped in quotes.
            assert re.search(rf"(^|[\s{{,\[-])'?\"?{re.escape(path[-1])}'?\"?\s*:", lines[line - 1]), (path, line)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(folder: Path, text: str) -> None:
    try:
        document = read(folder, text.encode("utf-8", "surrogatepass"))
    except SpecError:
        return
    json.dumps(document.value)
