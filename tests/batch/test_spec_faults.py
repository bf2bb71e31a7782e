"""What is wrong with a specification is told all at once, each with line, words and remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batch.spec import Spec, load_spec
from cube.errors import Problem, SpecError
from cube.options import Strict

Load = Callable[[str], Spec]
Faults = Callable[[str], list[Problem]]

SOUND = """\
title: Test cube
store: ./cube
memory: 2 GiB
storage:
  region: uk
cluster:
  kind: local
  workers: 2
collections:
  inputs:
    title: Inputs
products:
  rain:
    job: ingest
    collection: inputs
    source: tamsat
    files: archive/rfe*.nc
    gaps:
      max_days: 2
    area:
      lat: [-10, 10]
      lon: [0, 20]
  dry:
    job: metric
    collection: inputs
    input: rain
    threshold: 1 mm d-1
"""


def short(problem: Problem) -> tuple[str, str, str, str]:
    return problem.where, problem.code, problem.what, problem.fix


def changed(old: str, new: str) -> str:
    assert SOUND.count(old) == 1
    return SOUND.replace(old, new)


def test_the_base_of_these_tests_is_sound(load: Load) -> None:
    assert list(load(SOUND).products) == ["rain", "dry"]


@pytest.mark.parametrize(
    ("old", "new", "where", "code", "what", "fix"),
    [
        (
            "title: Test cube",
            "titel: Test cube",
            "cube.yaml:1 titel",
            "spec-unknown-key",
            "the key 'titel' is not known here",
            "did you mean 'title'?",
        ),
        (
            "    files: arch",
            "    fils: arch",
            "cube.yaml:17 products.rain.fils",
            "spec-unknown-key",
            "the key 'fils' is not known here",
            "did you mean 'files'?",
        ),
        (
            "max_days",
            "max-days",
            "cube.yaml:19 products.rain.gaps.max-days",
            "spec-unknown-key",
            "the key 'max-days' is not known here",
            "did you mean 'max_days'?",
        ),
        (
            "  workers: 2",
            "  nodes: 2",
            "cube.yaml:8 cluster.nodes",
            "spec-unknown-key",
            "the key 'nodes' is not known here",
            "keys known here: kind, workers, scratch",
        ),
        (
            "    title: Inputs",
            "    titl: Inputs",
            "cube.yaml:11 collections.inputs.titl",
            "spec-unknown-key",
            "the key 'titl' is not known here",
            "did you mean 'title'?",
        ),
        (
            "store: ./cube\n",
            "",
            "cube.yaml:1",
            "spec-missing-key",
            "the key 'store' is missing",
            "add `store:` where the cube lives: a folder, relative to the specification, or s3://bucket/prefix",
        ),
        (
            "    source: tamsat\n",
            "",
            "cube.yaml:13 products.rain",
            "spec-missing-key",
            "the key 'source' is missing",
            "add `source:` convention of the files",
        ),
        (
            "title: Test cube",
            "title: 2010",
            "cube.yaml:1 title",
            "spec-value",
            "expected a text, found 2010",
            'put it in quotes: "2010"',
        ),
        ("title: Test cube", "title: ' '", "cube.yaml:1 title", "spec-value", "expected a text that is not empty", ""),
        ("title: Test cube", "title: a\nid: A b", "cube.yaml:2 id", "spec-name", "'A b' is not a name", "'a-b'"),
        (
            "source: tamsat",
            "source: tamsatt",
            "cube.yaml:16 products.rain.source",
            "spec-value",
            "expected 'tamsat', 'haduk' or 'cru', found 'tamsatt'",
            "did you mean 'tamsat'?",
        ),
        (
            "source: tamsat",
            "source: era5",
            "cube.yaml:16 products.rain.source",
            "spec-value",
            "expected 'tamsat', 'haduk' or 'cru', found 'era5'",
            "known here: tamsat, haduk, cru",
        ),
        (
            "max_days: 2",
            "max_days: -1",
            "cube.yaml:19 products.rain.gaps.max_days",
            "spec-value",
            "expected a number of at least 0, found -1",
            "",
        ),
        (
            "max_days: 2",
            "max_days: two",
            "cube.yaml:19 products.rain.gaps.max_days",
            "spec-value",
            "expected a whole number, found 'two'",
            "",
        ),
        (
            "    gaps:\n      max_days: 2\n",
            "    gaps:\n",
            "cube.yaml:18 products.rain.gaps",
            "spec-value",
            "expected a section of keys, found nothing",
            "",
        ),
        (
            "lat: [-10, 10]",
            "lat: [-10, north]",
            "cube.yaml:21 products.rain.area.lat[1]",
            "spec-value",
            "expected a number, found 'north'",
            "",
        ),
        (
            "lat: [-10, 10]",
            "lat: [-10]",
            "cube.yaml:21 products.rain.area.lat",
            "spec-value",
            "expected a list of at least 2, found a list of 1",
            "",
        ),
        (
            "lat: [-10, 10]",
            "lat: [10, -10]",
            "cube.yaml:20 products.rain.area",
            "spec-value",
            "lat must be [lower, upper], found [10.0, -10.0]",
            "",
        ),
        (
            "memory: 2 GiB",
            "memory: 2",
            "cube.yaml:3 memory",
            "spec-value",
            "a size is a number with its unit, such as 4 GiB or 500 MB, found 2",
            "",
        ),
        ("memory: 2 GiB", "memory: 0 GiB", "cube.yaml:3 memory", "spec-value", "expected a number above 0", ""),
        (
            "  kind: local",
            "  kind: slrum",
            "cube.yaml:7 cluster.kind",
            "spec-value",
            "expected 'local', 'slurm', 'address' or 'gateway', found 'slrum'",
            "did you mean 'slurm'?",
        ),
        (
            "store: ./cube",
            "store: gs://bucket/a",
            "cube.yaml:2 store",
            "spec-value",
            "a store is a folder or s3://bucket/prefix, found an address that begins with gs://",
            "",
        ),
        ("store: ./cube", "store: s3://", "cube.yaml:2 store", "spec-value", "'s3://' names no bucket or folder", ""),
        ("store: ./cube", "store: s3:/b/a", "cube.yaml:2 store", "spec-value", "a bucket is written s3://bucket", ""),
        ("store: ./cube", "store: cubes/*", "cube.yaml:2 store", "spec-value", "a store is one folder", ""),
        (
            "job: ingest",
            "job: ingset",
            "cube.yaml:14 products.rain.job",
            "spec-unknown-job",
            "there is no job 'ingset'",
            "did you mean 'ingest'?",
        ),
        (
            "input: rain",
            "input: rian",
            "cube.yaml:26 products.dry.input",
            "spec-missing-input",
            "no product is named 'rian'",
            "did you mean 'rain'?",
        ),
        (
            "input: rain",
            "input: rain\n    also: [rain, snow]",
            "cube.yaml:27 products.dry.also[1]",
            "spec-missing-input",
            "no product is named 'snow'",
            "products: rain, dry",
        ),
        (
            "input: rain",
            "input: dry",
            "cube.yaml:26 products.dry.input",
            "spec-cycle",
            "'dry' is made from itself",
            "",
        ),
        (
            "threshold: 1 mm d-1",
            "threshold: 1 K",
            "cube.yaml:27 products.dry.threshold",
            "unit-unknown",
            "'K' cannot be converted to 'mm d-1'",
            "give it in mm d-1 or a unit convertible to it",
        ),
        (
            "threshold: 1 mm d-1",
            "threshold: 1",
            "cube.yaml:27 products.dry.threshold",
            "spec-value",
            "expected a text, found 1",
            "write, for example, 1 mm d-1",
        ),
        (
            "  rain:\n    job",
            "  Rain_daily:\n    job",
            "cube.yaml:13 products.Rain_daily",
            "spec-name",
            "'Rain_daily' is not a name",
            "did you mean 'rain-daily'?",
        ),
        (
            "  inputs:\n",
            "  inputs: {}\n  runs:\n",
            "cube.yaml:11 collections.runs",
            "spec-name",
            "'runs' is a name that the store keeps for itself",
            "",
        ),
        (
            "  inputs:\n",
            "  inputz:\n",
            "cube.yaml:15 products.rain.collection",
            "spec-unknown-collection",
            "the section `collections` declares no 'inputs'",
            "did you mean 'inputz'?",
        ),
        (
            "source: tamsat",
            "source: tamsat\n    doi: https://doi.org/10.5285/abc",
            "cube.yaml:17 products.rain.doi",
            "spec-value",
            "has not the form that is needed here",
            "write, for example, 10.5285/",
        ),
        (
            "source: tamsat",
            "source: tamsat\n    layout: {segment: 10}",
            "cube.yaml:17 products.rain.layout.segment",
            "spec-value",
            'a segment is a number of years such as "10 years", or auto; found 10',
            "",
        ),
        (
            "source: tamsat",
            "source: tamsat\n    keywords: rain",
            "cube.yaml:17 products.rain.keywords",
            "spec-value",
            "expected a list, found 'rain'",
            "write a list: [rain]",
        ),
    ],
)
def test_fault(faults: Faults, old: str, new: str, where: str, code: str, what: str, fix: str) -> None:
    found = next((each for each in map(short, faults(changed(old, new))) if each[0] == where), None)
    assert found is not None, faults(changed(old, new))
    assert found[1] == code
    assert what in found[2]
    assert fix in found[3]


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ('""', "an empty text is no path"),
        ("archive/", "names a folder; files are named by a pattern such as archive/*.nc"),
        ("archive/**", "names a folder; files are named by a pattern such as archive/*.nc"),
        ("archive/**rfe.nc", "must be alone between slashes"),
        ('"a[0-9.nc"', "has no `]`"),
        ('"a[]x.nc"', "has no `]`"),
        ('"{a,b.nc"', "do not pair"),
        ("gs://bucket/x.nc", "not from gs://"),
        ("s3:bucket/x.nc", "addresses begin like s3://"),
        ("s3://", "names no bucket"),
        ('" a.nc"', "white space"),
        ('"a\\nb.nc"', "white space"),
    ],
)
def test_patterns_that_cannot_match(faults: Faults, files: str, what: str) -> None:
    (problem,) = faults(changed("archive/rfe*.nc", files))
    assert (problem.where, problem.code) == ("cube.yaml:17 products.rain.files", "spec-glob")
    assert what in problem.what


@pytest.mark.parametrize(
    "files",
    ["a/**/b*.nc", '"a[]0].nc"', '"a[!]].nc"', '"{a,b}/*.nc"', "https://example.org/a.nc", "s3://b/*.nc", "a b.nc"],
)
def test_patterns_that_can(load: Load, files: str) -> None:
    load(changed("archive/rfe*.nc", files))


def test_fault_in_a_list_of_files_names_the_item(faults: Faults) -> None:
    found = [
        (problem.where, problem.code)
        for problem in faults(changed("archive/rfe*.nc", '\n      - a.nc\n      - "b["\n      - 3'))
    ]
    assert found == [
        ("cube.yaml:19 products.rain.files[1]", "spec-glob"),
        ("cube.yaml:20 products.rain.files[2]", "spec-value"),
    ]


def test_unquoted_placeholder_is_told_to_be_quoted(faults: Faults) -> None:
    (problem,) = faults(changed("input: rain", "input: {name}"))
    assert problem.what == "expected a text, found a section with name"
    assert '"{name}"' in problem.fix


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("- a\n- b\n", "expected sections such as title, store and products, found a list of 2"),
        ("only a sentence\n", "expected sections such as title, store and products, found 'only a sentence'"),
        ("---\n", "expected sections such as title, store and products, found nothing"),
    ],
)
def test_top_level_that_is_no_section(faults: Faults, text: str, what: str) -> None:
    (problem,) = faults(text)
    assert problem.what == what
    assert problem.where.startswith("cube.yaml:")


def test_missing_file_is_told_with_the_way_on(tmp_path: Path, jobs: dict[str, type[Strict]]) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "cube.yaml", jobs)
    assert caught.value.exit_code == 2
    assert "--spec" in caught.value.problems[0].fix


@pytest.mark.parametrize(
    ("products", "what"),
    [
        ("", "the key 'products' is missing"),
        ("products:\n", "expected products by name, found nothing"),
        ("products: [a]\n", "expected products by name, found a list of 1"),
        ("products: {}\n", "expected products by name, found an empty section"),
        ("products: {a: }\n", "expected a section of keys, found nothing"),
    ],
)
def test_products_that_are_none(faults: Faults, products: str, what: str) -> None:
    (problem,) = faults(f"title: a\nstore: b\n{products}")
    assert problem.what == what


def test_misspelt_key_is_not_also_missing(faults: Faults) -> None:
    assert [problem.code for problem in faults(changed("collections:", "colections:"))] == ["spec-unknown-key"]
    assert [problem.code for problem in faults(changed("products:", "product:"))] == ["spec-unknown-key"]
    assert [problem.code for problem in faults(changed("    job: metric", "    jobb: metric"))] == ["spec-unknown-key"]


def test_everything_is_told_at_once_in_the_order_of_lines(faults: Faults) -> None:
    found = faults("""\
        title: 3
        stor: x
        title: again
        memory: 4
        cluster: {kind: local, workers: -1}
        products:
          a: {job: metric, collection: c, input: b, threshold: 1 mm d-1, extra: 1}
          b: {job: metric, collection: C, input: [a], also: [a], threshold: 1 K}
          c: {job: none, collection: c}
          d: {job: ingest, collection: c, source: x, files: "["}
          e-{x}: {job: ingest, collection: c, source: cru, files: a.nc}
          f: {job: metric, collection: c, input: z, threshold: 1 mm d-1}
          b: {}
        """)
    assert [(problem.where, problem.code) for problem in found] == [
        ("cube.yaml:1 title", "spec-value"),
        ("cube.yaml:2 stor", "spec-unknown-key"),
        ("cube.yaml:3 title", "spec-duplicate-key"),
        ("cube.yaml:4 memory", "spec-value"),
        ("cube.yaml:5 cluster.workers", "spec-value"),
        ("cube.yaml:7 products.a.extra", "spec-unknown-key"),
        ("cube.yaml:7 products.a.input", "spec-cycle"),
        ("cube.yaml:8 products.b.collection", "spec-name"),
        ("cube.yaml:8 products.b.input", "spec-value"),
        ("cube.yaml:8 products.b.threshold", "unit-unknown"),
        ("cube.yaml:9 products.c.job", "spec-unknown-job"),
        ("cube.yaml:10 products.d.source", "spec-value"),
        ("cube.yaml:10 products.d.files", "spec-glob"),
        ("cube.yaml:11 products.e-{x}", "spec-each"),
        ("cube.yaml:12 products.f.input", "spec-missing-input"),
        ("cube.yaml:13 products.b", "spec-duplicate-key"),
    ]


def test_cycle_is_named_from_end_to_end(faults: Faults) -> None:
    def metric(name: str, *inputs: str) -> str:
        names = f"input: {inputs[0]}, also: [{', '.join(inputs[1:])}]"
        return f"  {name}: {{job: metric, collection: c, {names}, threshold: 1 mm d-1}}\n"

    text = (
        "title: a\nstore: b\nproducts:\n"
        + metric("x", "y", "u")
        + metric("y", "z")
        + metric("z", "x")
        + metric("u", "u")
    )
    assert [(problem.where, problem.what) for problem in faults(text)] == [
        ("cube.yaml:4 products.x.input", "'x' is made from 'y', which is made from 'z', which is made from 'x'"),
        ("cube.yaml:7 products.u.input", "'u' is made from itself"),
    ]


def test_validator_that_raises_a_spec_error_is_heard(spec_file: Path, load: Load) -> None:
    from pydantic import field_validator

    from cube.units import quantity

    class Options(Strict):
        depth: str

        @field_validator("depth")
        @classmethod
        def _depth(cls, value: str) -> str:
            quantity(value, "m", "depth")
            return value

    spec_file.write_text("title: a\nstore: b\nproducts:\n  x:\n    job: soil\n    collection: C\n    depth: 3 K\n")
    with pytest.raises(SpecError) as caught:
        load_spec(spec_file, {"soil": Options})
    found = [(problem.where.rpartition("/")[2], problem.code) for problem in caught.value.problems]
    assert found == [
        ("cube.yaml:6 products.x.collection", "spec-name"),
        ("cube.yaml:7 products.x.depth", "unit-unknown"),
    ]


_sections = st.sampled_from(
    [
        (1, ""),
        (5, "  "),
        (7, "  "),
        (11, "    "),
        (14, "    "),
        (19, "      "),
        (21, "      "),
        (24, "    "),
    ]
)


@given(
    section=_sections, key=st.from_regex(r"[a-zA-Z_-]{1,12}", fullmatch=True), value=st.sampled_from(["1", "[a]", "{}"])
)
def test_any_unknown_key_is_reported_on_its_line(
    faults: Faults, section: tuple[int, str], key: str, value: str
) -> None:
    line, indent = section
    text = SOUND.splitlines(keepends=True)
    text.insert(line - 1, f"{indent}{key}: {value}\n")
    known = {each.split(":")[0].strip() for each in SOUND.splitlines()}
    known |= {"description", "id", "title", "keywords", "layout", "doi", "permission", "each", "references", "period"}
    known |= {"endpoint_url", "public_url", "profile", "anonymous", "policy", "key", "scratch", "periods", "x", "y"}
    known |= {"also", "window"}
    assume(key not in known and key.lower() not in {"null", "secret", "token", "pwd"})
    found = [problem for problem in faults("".join(text)) if problem.code == "spec-unknown-key"]
    assert [problem.where.split()[0] for problem in found] == [f"cube.yaml:{line}"]
    assert repr(key) in found[0].what


_lines = st.lists(st.integers(1, len(SOUND.splitlines())), max_size=4, unique=True)


@given(gone=_lines, turned=st.lists(st.sampled_from("abcdx:[]{}-0 "), min_size=0, max_size=2), at=st.integers(0, 400))
def test_damaged_specification_is_read_whole_or_refused_with_lines(
    load: Load, gone: list[int], turned: list[str], at: int
) -> None:
    lines = [line for number, line in enumerate(SOUND.splitlines(keepends=True), 1) if number not in gone]
    text = "".join(lines)
    text = text[:at] + "".join(turned) + text[at:]
    try:
        spec: Spec | SpecError = load(text)
    except SpecError as error:
        spec = error
    if isinstance(spec, SpecError):
        assert all(":" in problem.where and problem.what for problem in spec.problems)
    else:
        assert set(spec.order()) == set(spec.products) != set()
