"""`each` makes one product of every combination, and says what does not add up."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.expansion import fill, placeholders
from batch.spec import Spec
from cube.errors import Problem

Load = Callable[[str], Spec]
Faults = Callable[[str], list[Problem]]


def section(name: str, each: str, extra: str = "", files: str = "a.nc") -> str:
    lines = ["title: a", "store: b", "products:", f"  {name}:", "    job: ingest", "    collection: c"]
    lines += ["    source: cru", f"    files: {files}"]
    lines += [f"    each: {each}"] if each else []
    return "\n".join([*lines, extra]) + "\n"


def found(problems: list[Problem]) -> list[tuple[str, str, str]]:
    return [(problem.where.removeprefix("cube.yaml:"), problem.code, problem.what) for problem in problems]


_words = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,5}", fullmatch=True)
_values = st.lists(
    st.from_regex(r"[A-Za-z0-9]{1,6}(-[A-Za-z0-9]{1,3})?", fullmatch=True), min_size=1, max_size=4, unique_by=str.lower
)


@given(each=st.dictionaries(_words, _values, min_size=1, max_size=3))
def test_one_product_of_every_combination_in_order(load: Load, each: dict[str, list[str]]) -> None:
    name = "p" + "".join(f"-{number}{{{word}}}" for number, word in enumerate(each))
    files = "/".join(f"{{{word}}}" for word in each)
    listed = ", ".join(f"{word}: [{', '.join(repr(value) for value in values)}]" for word, values in each.items())
    spec = load(section(name, f"{{{listed}}}", files=f"'{files}/x.nc'"))
    combinations = list(itertools.product(*each.values()))
    assert list(spec.products) == [
        "p" + "".join(f"-{number}{value}" for number, value in enumerate(values)).lower() for values in combinations
    ]
    assert [product.options.model_dump()["files"] for product in spec.products.values()] == [
        "/".join(values) + "/x.nc" for values in combinations
    ]


def test_values_are_put_into_every_text_however_deep(load: Load) -> None:
    spec = load(
        section(
            "x-{m}-{year}",
            "{m: [HadGEM2-ES], year: [2006, 2007]}",
            extra=(
                "    title: '{m} in {year}'\n    keywords: ['{m}', fixed]\n    period: {start: '{year}'}\n"
                "    references: {one: 'https://example.org/{m}/{year}'}"
            ),
            files="['{m}/{year}.nc', '{year}/**/{m}*.nc']",
        )
    )
    product = spec.products["x-hadgem2-es-2007"]
    options = product.options.model_dump()
    assert product.title == "HadGEM2-ES in 2007"
    assert product.keywords == ("HadGEM2-ES", "fixed")
    assert options["files"] == ("HadGEM2-ES/2007.nc", "2007/**/HadGEM2-ES*.nc")
    assert options["period"]["start"] == "2007"
    assert options["references"] == {"one": "https://example.org/HadGEM2-ES/2007"}


def test_values_are_lower_case_only_where_products_and_collections_are_named(load: Load) -> None:
    spec = load("""\
        title: a
        store: b
        products:
          pr-{m}: {each: {m: [MIROC5]}, job: ingest, collection: "of-{m}", source: cru, files: "{m}.nc"}
          dry-{m}:
            {each: {m: [MIROC5]}, job: metric, collection: c, input: "pr-{m}", also: ["pr-{m}"], threshold: 1 mm d-1}
        """)
    assert spec.products["pr-miroc5"].collection == "of-miroc5"
    assert spec.products["pr-miroc5"].options.model_dump()["files"] == "MIROC5.nc"
    assert spec.inputs("dry-miroc5") == ("pr-miroc5",)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{a}", "1"),
        ("{a}{b}-{a}", "12-1"),
        ("{{a}}", "{a}"),
        ("{a,b}", "{a,b}"),
        ("{}", "{}"),
        ("{2}", "{2}"),
        ("{a.b}", "{a.b}"),
        ("{ a }", "{ a }"),
        ("x{{{a},c},d}", "x{{1,c},d}"),
        ("{{a},{b}}", "{1,2}"),
        ("{c}", "{c}"),
        ("{", "{"),
        ("}{", "}{"),
    ],
)
def test_only_braces_around_one_word_are_placeholders(text: str, filled: str) -> None:
    assert fill(text, {"a": "1", "b": "2"}) == filled


@given(st.text("{}ab,", max_size=12))
def test_text_without_placeholders_and_doubled_braces_is_left_alone(text: str) -> None:
    if not placeholders(text) and "{{" not in text:
        assert fill(text, {"a": "1", "b": "2"}) == text


def test_braces_of_patterns_survive_without_each(load: Load) -> None:
    spec = load(section("x", "", files="'{a,b}/{{word}}/*.nc'"))
    assert spec.products["x"].options.model_dump()["files"] == "{a,b}/{word}/*.nc"


@pytest.mark.parametrize(
    ("name", "each", "files", "expected"),
    [
        ("x-{m}", "", "a.nc", ("4 products.x-{m}", "spec-each", "`{m}` stands for nothing: there is no `each`")),
        ("x", "", "'{m}.nc'", ("8 products.x.files", "spec-each", "`{m}` stands for nothing: there is no `each`")),
        (
            "x-{m}",
            "{m: [a]}",
            "['{n}.nc']",
            ("8 products.x-{m}.files[0]", "spec-each", "`{n}` stands for nothing: `each` has no such key"),
        ),
        (
            "x-{m}",
            "{m: [a], n: [b]}",
            "a.nc",
            ("9 products.x-{m}.each.n", "spec-each", "`{n}` is used nowhere in the section"),
        ),
        (
            "x-{m}",
            "{m: [a], n: [b, c]}",
            "'{n}.nc'",
            ("9 products.x-{m}.each.n", "spec-name-clash", "the 2 values of 'n' give products of one name"),
        ),
        ("x-{m}", "{m: [a, b, A]}", "a.nc", ("9 products.x-{m}.each.m[2]", "spec-each", "'A' is listed twice")),
        ("x-{m}", "{m: [1, '1']}", "a.nc", ("9 products.x-{m}.each.m[1]", "spec-each", "'1' is listed twice")),
        (
            "x-{m}",
            "{m: [a, 0.5]}",
            "a.nc",
            ("9 products.x-{m}.each.m[1]", "spec-each", "expected a text or a whole number, found 0.5"),
        ),
        (
            "x-{m}",
            "{m: [a, true]}",
            "a.nc",
            ("9 products.x-{m}.each.m[1]", "spec-each", "expected a text or a whole number, found true"),
        ),
        (
            "x-{m}",
            "{m: [a_b]}",
            "a.nc",
            (
                "4 products.x-{m}",
                "spec-name",
                "'x-a_b' is not a name: names are lower-case letters, digits and single hyphens between them",
            ),
        ),
    ],
)
def test_fault_of_each(faults: Faults, name: str, each: str, files: str, expected: tuple[str, str, str]) -> None:
    assert found(faults(section(name, each, files=files))) == [expected]


@pytest.mark.parametrize("each", ["[a]", "a", "{}", "3"])
def test_each_that_is_no_section(faults: Faults, each: str) -> None:
    problems = found(faults(section("x", each)))
    assert [problem[:2] for problem in problems] == [("9 products.x.each", "spec-each")]


@pytest.mark.parametrize("values", ["rcp26", "[]", "{a: b}"])
def test_each_whose_values_are_no_list(faults: Faults, values: str) -> None:
    problems = found(faults(section("x-{m}", f"{{m: {values}}}")))
    assert ("9 products.x-{m}.each.m", "spec-each") in [problem[:2] for problem in problems]


def test_two_sections_that_make_one_product(faults: Faults) -> None:
    other = "  x-b: {job: ingest, collection: c, source: cru, files: a.nc}"
    (problem,) = faults(section("x-{m}", "{m: [a, b]}", extra=other))
    assert (problem.where, problem.code) == ("cube.yaml:10 products.x-b", "spec-name-clash")
    assert "'x-{m}' makes a product 'x-b' too" in problem.what


def test_too_many_combinations_are_refused_not_made(faults: Faults) -> None:
    many = ", ".join(f"v{number}" for number in range(500))
    (problem,) = faults(section("x-{m}-{n}-{o}", f"{{m: [{many}], n: [{many}], o: [{many}]}}"))
    assert problem.what == "more than 10000 combinations"


def test_fault_of_a_section_is_told_once_for_all_its_products(faults: Faults) -> None:
    text = section("x-{m}", "{m: [a, b, c]}", extra="    gaps: {max_days: -1}\n    unknown: 1")
    assert found(faults(text)) == [
        ("10 products.x-{m}.gaps.max_days", "spec-value", "expected a number of at least 0, found -1"),
        ("11 products.x-{m}.unknown", "spec-unknown-key", "the key 'unknown' is not known here"),
    ]


def test_missing_inputs_are_told_for_each_value_that_lacks_one(faults: Faults) -> None:
    metric = "  dry-{m}: {each: {m: [a, b, c]}, job: metric, collection: c, input: 'x-{m}', threshold: 1 mm d-1}"
    problems = found(faults(section("x-{m}", "{m: [a]}", extra=metric)))
    assert problems == [
        ("10 products.dry-{m}.input", "spec-missing-input", "no product is named 'x-b'"),
        ("10 products.dry-{m}.input", "spec-missing-input", "no product is named 'x-c'"),
    ]


def test_faulty_each_does_not_make_its_products_missing(faults: Faults) -> None:
    metric = "  dry: {job: metric, collection: c, input: x-a, threshold: 1 mm d-1}"
    problems = found(faults(section("x-{m}", "{m: a}", extra=metric)))
    assert {problem[1] for problem in problems} == {"spec-each"}


def test_job_cannot_be_a_placeholder(faults: Faults) -> None:
    text = section("x-{m}", "{m: [ingest]}").replace("job: ingest", "job: '{m}'")
    assert found(faults(text)) == [("5 products.x-{m}.job", "spec-unknown-job", "there is no job '{m}'")]
