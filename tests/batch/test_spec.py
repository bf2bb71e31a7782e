"""A sound specification and what it gives."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from batch.sections import slug
from batch.spec import Spec, load_spec
from cube.options import Strict

Load = Callable[[str], Spec]

DESIGN = """\
title: Climate Impact Explorer datacube
store: ./cube
memory: 4 GiB
cluster: local
collections:
  inputs: {title: What the models are driven by}
products:
  dry-days-{gcm}-{scenario}:
    job: metric
    each: {gcm: [HadGEM2-ES], scenario: [historical, rcp60]}
    collection: inputs
    input: pr-{gcm}-{scenario}
    threshold: 1 mm d-1
  tamsat-rainfall:
    job: ingest
    collection: inputs
    source: tamsat
    files: archive/tamsat/**/rfe*.nc
    layout: {segment: 10 years}
    gaps: {max_days: 2}
  pr-{gcm}-{scenario}:
    job: ingest
    each: {gcm: [HadGEM2-ES], scenario: [historical, rcp60]}
    collection: inputs
    source: cru
    files: ["isimip/pr_{gcm}_{scenario}_*.nc4", "more/{a,b}.nc"]
"""


def test_every_product_is_expanded_validated_and_keeps_its_texts(load: Load) -> None:
    spec = load(DESIGN)
    assert spec.id == "climate-impact-explorer-datacube"
    assert spec.memory == 4 * 1024**3
    assert spec.cluster.kind == "local"
    assert list(spec.products) == [
        "dry-days-hadgem2-es-historical",
        "dry-days-hadgem2-es-rcp60",
        "tamsat-rainfall",
        "pr-hadgem2-es-historical",
        "pr-hadgem2-es-rcp60",
    ]
    tamsat = spec.products["tamsat-rainfall"]
    assert tamsat.options.model_dump()["files"] == "archive/tamsat/**/rfe*.nc"
    assert tamsat.options.model_dump()["gaps"] == {"max_days": 2, "periods": ()}
    assert tamsat.layout.segment == 10
    scenario = spec.products["pr-hadgem2-es-rcp60"]
    assert scenario.options.model_dump()["files"] == ("isimip/pr_HadGEM2-ES_rcp60_*.nc4", "more/{a,b}.nc")
    assert scenario.each == {"gcm": "HadGEM2-ES", "scenario": "rcp60"}


def test_inputs_and_order(load: Load) -> None:
    spec = load(DESIGN)
    assert spec.inputs("dry-days-hadgem2-es-rcp60") == ("pr-hadgem2-es-rcp60",)
    assert spec.inputs("tamsat-rainfall") == ()
    assert spec.order() == [
        "tamsat-rainfall",
        "pr-hadgem2-es-historical",
        "dry-days-hadgem2-es-historical",
        "pr-hadgem2-es-rcp60",
        "dry-days-hadgem2-es-rcp60",
    ]


def test_line_of_a_product_and_of_an_expanded_one(load: Load, spec_file: Path) -> None:
    spec = load(DESIGN)
    assert spec.line("tamsat-rainfall") == f"{spec_file}:14 products.tamsat-rainfall"
    assert spec.line("tamsat-rainfall", "gaps", "max_days").endswith(":20 products.tamsat-rainfall.gaps.max_days")
    assert spec.line("pr-hadgem2-es-rcp60", "files", 1).endswith(":26 products.pr-hadgem2-es-rcp60.files[1]")
    # A default stands nowhere: its section does.
    assert spec.line("pr-hadgem2-es-rcp60", "gaps").endswith(":21 products.pr-hadgem2-es-rcp60.gaps")


def test_relative_paths_start_at_the_folder_of_the_file_not_of_the_shell(
    load: Load, spec_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = load(DESIGN)
    monkeypatch.chdir(tmp_path)
    assert spec.store == "./cube"
    assert spec.store_location == str(spec_file.parent / "cube")
    assert spec.resolve("scratch/a") == str(spec_file.parent / "scratch/a")
    assert spec.resolve("/data/x") == "/data/x"
    assert spec.resolve("s3://bucket/prefix") == "s3://bucket/prefix"
    assert spec.resolve("file:///srv/my%20cube") == "/srv/my cube"
    monkeypatch.setenv("HOME", "/home/somebody")
    assert spec.resolve("~/data") == "/home/somebody/data"


def test_path_given_relative_to_the_shell(
    load: Load, spec_file: Path, monkeypatch: pytest.MonkeyPatch, jobs: dict[str, type[Strict]]
) -> None:
    load(DESIGN)
    monkeypatch.chdir(spec_file.parent)
    spec = load_spec(Path("cube.yaml"), jobs)
    assert spec.store_location == str(spec_file.parent / "cube")
    assert spec.line("tamsat-rainfall") == "cube.yaml:14 products.tamsat-rainfall"


@pytest.mark.parametrize("store", ["s3://bucket", "s3://bucket/a/b", "/srv/cube", "~/cube", "../cube", "file:///srv/x"])
def test_places_of_a_store(load: Load, store: str) -> None:
    assert load(DESIGN.replace("./cube", store)).store == store


def test_object_store_settings(load: Load) -> None:
    text = DESIGN.replace("memory:", "storage: {endpoint_url: 'https://s3.example.org', profile: mine}\nmemory:")
    storage = load(text).storage
    assert storage is not None
    assert (storage.endpoint_url, storage.profile) == ("https://s3.example.org", "mine")


@pytest.mark.parametrize(
    ("text", "size"), [("500 MB", 500_000_000), ("1.5GiB", 3 * 2**29), ("64 kB", 64_000), ("2 TiB", 2**41)]
)
def test_sizes(load: Load, text: str, size: int) -> None:
    assert load(DESIGN.replace("4 GiB", text)).memory == size


def test_defaults(load: Load) -> None:
    spec = load("title: a\nstore: b\nproducts:\n  x: {job: ingest, collection: c, source: cru, files: f.nc}\n")
    assert spec.memory == 4 * 2**30
    assert (spec.cluster.kind, spec.cluster.workers, spec.cluster.scratch) == ("local", None, None)
    assert (spec.description, spec.storage) == (None, None)
    assert spec.products["x"].keywords == ()


def test_local_cluster_in_full(load: Load) -> None:
    cluster = load(DESIGN.replace("local", "{kind: local, workers: 3, scratch: fast/disk}")).cluster
    assert (cluster.workers, cluster.scratch) == (3, "fast/disk")


def test_every_collection_has_a_title(load: Load) -> None:
    assert load(DESIGN).collections["inputs"].title == "What the models are driven by"
    undeclared = load(DESIGN.replace("collections:\n  inputs: {title: What the models are driven by}\n", ""))
    assert {name: each.title for name, each in undeclared.collections.items()} == {"inputs": "inputs"}


def test_defaults_shared_by_anchor(load: Load) -> None:
    spec = load("""\
        title: a
        store: b
        products:
          one: &shared {job: ingest, collection: c, source: cru, files: one.nc}
          two: {<<: *shared, files: two.nc}
        """)
    assert [product.options.model_dump()["files"] for product in spec.products.values()] == ["one.nc", "two.nc"]
    assert spec.line("two", "files").endswith("cube.yaml:5 products.two.files")


def test_dates_and_years_of_a_period_need_no_quotes(load: Load) -> None:
    spec = load("""\
        title: a
        store: b
        products:
          x: {job: ingest, collection: c, source: cru, files: x.nc, period: {start: 2006, end: 2010-01-31}}
        """)
    assert spec.products["x"].options.model_dump()["period"] == {"start": "2006", "end": "2010-01-31"}


def test_specification_cannot_be_changed_and_survives_pickling(load: Load) -> None:
    spec = load(DESIGN)
    with pytest.raises(ValidationError):
        spec.store = "elsewhere"
    with pytest.raises(ValidationError):
        spec.products["tamsat-rainfall"].job = "metric"
    copy = pickle.loads(pickle.dumps(spec))
    assert copy == spec
    assert copy.line("tamsat-rainfall", "files") == spec.line("tamsat-rainfall", "files")


@pytest.mark.parametrize(
    ("title", "name"),
    [("Météo & pluie: 2", "meteo-pluie-2"), ("  A--b_C  ", "a-b-c"), ("雨", ""), ("x", "x")],
)
def test_id_from_title(title: str, name: str) -> None:
    assert slug(title) == name


def test_title_without_latin_letters_still_gives_an_id(load: Load) -> None:
    assert load(DESIGN.replace("Climate Impact Explorer datacube", "雨")).id == "cube"


def test_options_may_not_take_the_name_of_a_key_of_every_product(spec_file: Path, load: Load) -> None:
    class Greedy(Strict):
        title: str

    load(DESIGN)
    with pytest.raises(ValueError, match="options of the job greedy"):
        load_spec(spec_file, {"greedy": Greedy})
