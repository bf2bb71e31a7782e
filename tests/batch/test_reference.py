"""The schema and the reference page say what the models accept, and the committed files are up to date."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pytest
import yaml

from batch.reference import SCHEMA, documents, reference_page
from batch.schema import json_schema
from cube.options import Strict

Jobs = Mapping[str, type[Strict]]

DOCS = Path(__file__).parents[2] / "docs"

SOUND = """\
title: Test
store: ./cube
memory: 2 GiB
cluster: local
storage: {region: uk}
collections: {inputs: {title: Inputs}}
products:
  rain-{m}:
    job: ingest
    each: {m: [a, 2]}
    collection: inputs
    source: tamsat
    files: [a.nc, b.nc]
    layout: {segment: 10 years, maps: true}
    gaps: {max_days: 2, periods: [[2001-01-01, 2001-01-02]]}
    area: {lat: [-10, 10], lon: [0, 20]}
    period: {start: 2001}
  dry: {job: metric, collection: inputs, input: rain-a, threshold: 1 mm d-1, window: 3}
"""


def errors(jobs: Jobs, text: str) -> list[str]:
    """Faults that a validator which is not ours finds, as dotted paths."""
    validator = jsonschema.Draft202012Validator(json_schema(jobs))
    # Dates are texts in YAML 1.2, as editors read it.
    value = json.loads(json.dumps(yaml.safe_load(text), default=str))
    return [".".join(map(str, error.absolute_path)) for error in validator.iter_errors(value)]


def test_schema_is_a_schema(jobs: Jobs) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(jobs))


def test_schema_accepts_a_sound_specification(jobs: Jobs) -> None:
    assert errors(jobs, SOUND) == []
    assert errors(jobs, SOUND.replace("cluster: local", "cluster: {kind: local, workers: 2}")) == []


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("title: Test", "titel: Test", ""),
        ("memory: 2 GiB", "memory: 2", "memory"),
        ("cluster: local", "cluster: pbs", "cluster"),
        ("products:", "products:\n  x: {collection: c}", "products.x"),
        ("job: ingest", "job: simulate", "products.rain-{m}.job"),
        ("    source: tamsat\n", "", "products.rain-{m}"),
        ("source: tamsat", "source: era5", "products.rain-{m}.source"),
        ("source: tamsat", "source: tamsat\n    threshold: 1 mm d-1", "products.rain-{m}"),
        ("max_days: 2", "max_days: -2", "products.rain-{m}.gaps.max_days"),
        ("window: 3", "window: 91", "products.dry.window"),
        ("input: rain-a, ", "", "products.dry"),
        ("region: uk", "regoin: uk", "storage"),
        ("inputs: {title: Inputs}", "inputs: {titel: Inputs}", "collections.inputs"),
    ],
)
def test_schema_refuses_what_the_models_refuse(jobs: Jobs, old: str, new: str, path: str) -> None:
    assert path in errors(jobs, SOUND.replace(old, new))


def test_schema_keeps_descriptions_and_hides_class_names(jobs: Jobs) -> None:
    schema = json_schema(jobs)
    assert schema["$defs"]["job-metric"]["properties"]["threshold"]["description"] == "days below it count"
    assert schema["properties"]["store"]["description"].startswith("where the cube lives")
    assert "title" not in schema["$defs"]["job-metric"]
    assert all("title" not in each for each in schema["$defs"]["job-ingest"]["properties"].values() if "type" in each)


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """The table under a heading, by key."""
    text = re.split(r"^##+ ", page, flags=re.MULTILINE)
    (part,) = [each for each in text if each.startswith(f"{heading}\n")]
    cells = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in part.splitlines()
        if line.startswith("| `")
    ]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_page_has_every_key_with_type_default_units_and_meaning(jobs: Jobs) -> None:
    page = reference_page(jobs)
    assert rows(page, "The cube")["memory"] == [
        "text",
        "`4 GiB`",
        "what one worker process may use, all included; a plan that needs more is refused. "
        "For example `4 GiB`, `500 MB`",
    ]
    assert rows(page, "Job `metric`") == {
        "input": ["text", "required", "", "the daily product"],
        "threshold": ["text", "required", "", "days below it count. For example `1 mm d-1`"],
        "also": ["list of texts", "", "", "further products"],
        "window": ["whole number, at least 1, at most 90", "`1`", "days", "length of the mean"],
    }
    ingest = rows(page, "Job `ingest`")
    assert ingest["files"] == ["text or list of texts", "required", "paths or glob patterns"]
    assert ingest["source"][0] == "`tamsat`, `haduk` or `cru`"
    assert ingest["gaps"] == ["[gaps](#gaps)", "", "Holes in the archive that are known and will be written as missing"]
    assert ingest["area"] == ["[area](#area)", "", "part of the grid"]
    assert ingest["references"][0] == "by name: text"
    assert rows(page, "`gaps`")["max_days"][:2] == ["whole number, at least 0", "`0`"]
    assert rows(page, "Products")["job"] == ["`ingest` or `metric`", "required", "how the product is made"]


def test_page_has_every_key_of_the_schema(jobs: Jobs) -> None:
    page, schema = reference_page(jobs), json_schema(jobs)
    keys = {key for each in schema["$defs"].values() for key in each.get("properties", ())} | set(schema["properties"])
    assert {key for key in keys if f"\n| `{key}` |" not in page} == set()


def test_page_speaks_no_pydantic(jobs: Jobs) -> None:
    page = reference_page(jobs)
    for word in ("anyOf", "$ref", "null", "None", "Optional", "string", "integer", "Strict", "Options", "Literal"):
        assert not re.search(rf"(?<![\w$]){re.escape(word)}(?!\w)", page.split("## The cube")[1]), word


def test_links_of_the_page_lead_somewhere(jobs: Jobs) -> None:
    page = reference_page(jobs)
    headings = re.findall(r"^#+ (.*)$", page, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= anchors
    assert len(set(headings)) == len(headings)


def test_two_sections_of_one_key_get_headings_of_their_own() -> None:
    class Depths(Strict):
        top: float

    class Heights(Strict):
        base: float

    class Soil(Strict):
        levels: Depths

    class Wind(Strict):
        levels: Heights

    page = reference_page({"soil": Soil, "wind": Wind})
    assert list(rows(page, "`levels`")) == ["top"]
    assert list(rows(page, "`levels 2`")) == ["base"]
    assert rows(page, "Job `wind`")["levels"][0] == "[levels 2](#levels-2)"


def test_generated_files_are_the_same_every_time(jobs: Jobs) -> None:
    assert documents(jobs) == documents(dict(reversed(jobs.items())))
    assert json.loads(documents(jobs)[SCHEMA]) == json_schema(jobs)


def test_committed_files_are_up_to_date() -> None:
    from batch.jobs import OPTIONS

    for name, text in documents(OPTIONS).items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"run `python -m batch.reference docs/` for {name}"


def test_default_of_the_page_is_refused_when_it_is_written() -> None:
    from batch.jobs import OPTIONS

    schema = json_schema(OPTIONS)
    sections = {**schema["$defs"], "": schema}
    count = 0
    for name, section in sections.items():
        for key, part in section.get("properties", {}).items():
            # A key that may be left out need not be one that null can be written for.
            if part.get("default") is not None:
                validator = jsonschema.Draft202012Validator({**part, "$defs": schema["$defs"]})
                assert validator.is_valid(part["default"]), (name, key, part["default"])
                count += 1
    assert count > 50


def test_days_in_words_are_marked_as_wrong_while_one_writes() -> None:
    from batch.jobs import OPTIONS

    days = json_schema(OPTIONS)["$defs"]["job-metric"]["properties"]["spell"]
    accepted = [text for text in ("5 d", "5 days", "1 day", "5", 5, "5 h") if _valid(days, text)]
    assert accepted == ["5 d", "5 days", "1 day"]
    every = json_schema(OPTIONS)["$defs"]["job-sample"]["properties"]["every"]
    accepted = [text for text in ("5 d", "5 days", "120 hours", "5", "5 weeks") if _valid(every, text)]
    assert accepted == ["5 d", "5 days", "120 hours"]


def _valid(part: dict[str, object], value: object) -> bool:
    return jsonschema.Draft202012Validator(part).is_valid(value)


def test_examples_agree_with_the_schema() -> None:
    from batch.jobs import OPTIONS

    for path in sorted((DOCS.parent / "examples").glob("**/cube.yaml")):
        assert errors(OPTIONS, path.read_text(encoding="utf-8")) == [], path.parent.name
