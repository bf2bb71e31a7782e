"""Faults of values are told where they are, each once, and only those of what was meant."""

from __future__ import annotations

from typing import Any, Literal, Self

import pytest
from pydantic import model_validator

from cube.errors import Problem, SpecError
from cube.faults import MISSING_KEY, Fault, checked
from cube.options import Duration, Strict


class Rule(Strict):
    start: str
    days: int = 3


class Options(Strict):
    rule: Literal["one", "two"] | Rule = "one"
    low: str | None = None
    high: str | None = None
    length: Duration | None = None

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        problems = []
        if self.low is None and self.high is None:
            problems.append(Problem(MISSING_KEY, "give `low` or `high`", "low or high"))
        if isinstance(self.rule, Rule) and self.rule.days > 5:
            problems.append(Problem("too-long", "at most 5", "rule.days", "a danger", "a fix"))
        if problems:
            raise ValueError(*problems)
        if self.low == "K":
            raise SpecError(Problem("unit-unknown", "no K", "low"))
        return self


def told(value: dict[str, Any], excused: tuple[str, ...] = ()) -> list[Fault]:
    found, faults = checked(Options, value, excused)
    assert (found is None) == bool(faults)
    return faults


@pytest.mark.parametrize(
    ("rule", "paths"),
    [
        ({"days": 2}, [("rule",)]),
        ({"start": "a", "days": "b"}, [("rule", "days")]),
        ({"strat": "a", "days": 1}, [("rule", "strat")]),
        ({"start": "a", "dyas": 1, "days": "b"}, [("rule", "dyas"), ("rule", "days")]),
    ],
)
def test_section_is_also_no_choice(rule: dict[str, Any], paths: list[tuple[str, ...]]) -> None:
    faults = told({"low": "a", "rule": rule})
    assert [each.path for each in faults] == paths
    assert not any("'one'" in each.problem.what for each in faults)


def test_text_is_also_no_section() -> None:
    (fault,) = told({"low": "a", "rule": "tow"})
    assert fault.problem.what == "expected 'one' or 'two', found 'tow'"


def test_list_is_told_one_of_two_kinds() -> None:
    (fault,) = told({"low": "a", "rule": ["one"]})
    assert fault.problem.what == "expected 'one' or 'two' or a section of keys, found a list of 1"


def test_problem_of_a_validator_is_told_of_the_whole_section() -> None:
    faults = told({"rule": {"start": "a", "days": 6}})
    assert faults == [
        Fault((), Problem(MISSING_KEY, "give `low` or `high`"), ("low", "high")),
        Fault(("rule", "days"), Problem("too-long", "at most 5", "", "a danger", "a fix")),
    ]
    assert told({"low": "K"}) == [Fault(("low",), Problem("unit-unknown", "no K"))]


def test_misspelt_key_is_missing_too() -> None:
    assert checked(Options, {}, excused=("high",)) == (None, [])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2 d", 172800),
        ("1 day", 86400),
        ("2 days", 172800),
        ("1 hour", 3600),
        ("8 hours", 28800),
        ("8 h", 28800),
        ("30 min", 1800),
        ("30 minutes", 1800),
        ("90 s", 90),
    ],
)
def test_word_of_a_duration_is_refused_or_another_length(text: str, seconds: int) -> None:
    found, faults = checked(Options, {"low": "a", "length": text})
    assert not faults
    assert found is not None
    assert found.length == seconds


@pytest.mark.parametrize("text", ["2", 2, "2 dys", "d", "0 d", "2 months", "2 m"])
def test_duration_without_a_known_unit_is_taken(text: object) -> None:
    (fault,) = told({"low": "a", "length": text})
    assert '"2 d"' in fault.problem.what
