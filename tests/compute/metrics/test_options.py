"""What is wrong with a metric in the specification is told at the line of its key, with what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch.jobs import OPTIONS
from batch.spec import Spec, load_spec
from cube.errors import Problem, SpecError
from tests.compute.metrics import toy

BEFORE = "  bad:\n    job: metric\n    collection: metrics\n"
FIRST = toy.HEAD.count("\n") + 4
"""Line of the first option."""
RULE = "    metric: threshold_season\n    input: rain\n    rule:\n"
DATES = "      onset_until: 08-31\n      cessation_from: 09-01\n      cessation_until: 12-10\n"


def load(folder: Path, options: str) -> Spec:
    (folder / "cube.yaml").write_text(toy.HEAD + BEFORE + options)
    return load_spec(folder / "cube.yaml", OPTIONS)


def problems(folder: Path, options: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        load(folder, options)
    return list(caught.value.problems)


def places(found: list[Problem]) -> list[tuple[str, str]]:
    return [(each.where.rpartition("cube.yaml:")[2], each.code) for each in found]


def test_unit_that_is_none_is_told_of_the_product(tmp_path: Path) -> None:
    found = problems(tmp_path, "    metric: dry_days\n    input: rain\n    threshold: 2 mm/dy\n")
    assert places(found) == [(f"{FIRST + 2} products.bad.threshold", "unit-unknown")]
    found = problems(tmp_path, f"{RULE}      onset_from: 05-01\n{DATES}      rain: 2 K\n      dry: 1 mm\n")
    assert places(found) == [
        (f"{FIRST + 7} products.bad.rule.rain", "unit-unknown"),
        (f"{FIRST + 8} products.bad.rule.dry", "unit-unknown"),
    ]


def test_season_without_a_reference_is_not_told_how(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "    metric: wet_season\n    input: rain\n")
    assert problem.what == "wet_season needs `reference`"
    assert "`reference: {product: ..., period: {start: ..., end: ...}}`" in problem.fix
    assert "`reference: self`" in problem.fix


@pytest.mark.parametrize(
    "options",
    [
        "    metric: dry_days\n    input: rain\n    treshold: 1 mm d-1\n",
        "    metric: wet_season\n    input: rain\n    refrence: self\n",
        "    metric: threshold_season\n    input: rain\n    rul: fews\n",
    ],
)
def test_misspelt_key_is_said_to_be_missing_too(tmp_path: Path, options: str) -> None:
    assert [code for _, code in places(problems(tmp_path, options))] == ["spec-unknown-key"]


def test_rule_of_ones_own_is_told_that_it_is_no_text(tmp_path: Path) -> None:
    found = problems(tmp_path, f"{RULE}{DATES}      within: 3\n      rian: 9 mm\n")
    assert not any("sivakumar_1988" in each.what for each in found)
    assert places(found) == [
        (f"{FIRST + 2} products.bad.rule", "spec-missing-key"),
        (f"{FIRST + 6} products.bad.rule.within", "spec-value"),
        (f"{FIRST + 7} products.bad.rule.rian", "spec-unknown-key"),
    ]


def test_only_the_first_of_several_problems_is_told(tmp_path: Path) -> None:
    options = "    metric: dry_days\n    input: rain\n    months: [NDJ, MAY]\n    arid: 1 K\n    missing: 100 %\n"
    assert places(problems(tmp_path, options)) == [
        (f"{FIRST - 3} products.bad", "spec-missing-key"),
        (f"{FIRST + 2} products.bad.months", "spec-value"),
        (f"{FIRST + 2} products.bad.months", "spec-value"),
        (f"{FIRST + 3} products.bad.arid", "spec-value"),
        (f"{FIRST + 3} products.bad.arid", "unit-unknown"),
        (f"{FIRST + 4} products.bad.missing", "spec-value"),
    ]


@pytest.mark.parametrize("words", ["12 d", "12 days", "12d", "'12 day'"])
def test_days_in_words_are_refused(tmp_path: Path, words: str) -> None:
    spec = load(tmp_path, f"    metric: dry_days\n    input: rain\n    threshold: 1 mm d-1\n    spell: {words}\n")
    assert spec.products["bad"].options.model_dump()["spell"] == 12


def test_threshold_that_does_not_fit_the_input_is_told_without_its_line(tmp_path: Path) -> None:
    toy.archive(tmp_path)
    outcome = toy.built(tmp_path, f"{BEFORE}    metric: dry_days\n    input: rain\n    threshold: 2 K\n")
    (problem,) = outcome.failed["bad"].problems
    assert problem.where == f"{tmp_path / 'cube.yaml'}:{FIRST + 2} products.bad.threshold"
    assert problem.what == "'K' cannot be converted to 'mm d-1'"


def test_soil_season_of_rain_is_told_by_its_unit_alone(tmp_path: Path) -> None:
    toy.archive(tmp_path)
    outcome = toy.built(tmp_path, f"{BEFORE}    metric: soil_season\n    input: rain\n    reference: self\n")
    (problem,) = outcome.failed["bad"].problems
    assert problem.what == "soil_season is of beta (fsmc, 0 to 1), not of pr in mm d-1"
    assert "`fsmc` of a product" in problem.fix
