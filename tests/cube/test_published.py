"""A published product as input of others: its manifest gives what its plan gave, whatever kind of product it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import xarray as xr

from batch.jobs import OPTIONS
from batch.plan import Plan, ProductPlan, make_plan, plan_product
from batch.spec import Spec, load_spec
from cube.errors import IntegrityError
from cube.job import ProductView
from cube.keys import template_digest
from cube.live import read_live
from cube.published import pinned_view, proofs_of, published_view
from cube.reading import VersionRef
from cube.stores import Store, open_store
from tests.batch.kept import RAIN, Kept
from tests.batch.published import Published
from tests.batch.real_cube import real_cube
from tests.batch.test_append import Growing


def views(store: Store, plan: ProductPlan) -> tuple[ProductView, ProductView]:
    """The product as its plan gives it, and as its manifest does."""
    live = read_live(store, plan.path)
    assert live is not None
    planned = plan.view(VersionRef(store, plan.path.version(live.version)), live.manifest)
    return planned, published_view(store, plan.path, live)


def assert_same_view(planned: ProductView, found: ProductView) -> None:
    one, other = planned.template, found.template
    assert dict(other.arrays) == dict(one.arrays)
    assert {name: array.fill for name, array in other.arrays.items()} == pytest.approx(
        {name: array.fill for name, array in one.arrays.items()}, nan_ok=True
    )
    xr.testing.assert_identical(other.coords, one.coords)
    dtypes = [{str(name): array.dtype for name, array in each.coords.variables.items()} for each in (one, other)]
    assert dtypes[0] == dtypes[1]
    assert (other.time, other.space, other.groups, other.bbox) == (one.time, one.space, one.groups, one.bbox)
    assert dict(other.crs) == dict(one.crs)
    assert template_digest(other) == template_digest(one)
    assert found.layout == planned.layout
    assert dict(found.keys) == dict(planned.keys)
    assert found.provenance == planned.provenance
    assert dict(found.proofs) == dict(planned.proofs)
    assert (found.name, found.collection, found.fingerprint, found.ref) == (
        planned.name,
        planned.collection,
        planned.fingerprint,
        planned.ref,
    )


@pytest.fixture(scope="session")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return real_cube(shared, tmp_path_factory)


type Planned = tuple[Spec, Store, Plan]


@pytest.fixture(scope="module")
def planned(real: Published) -> Planned:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBE_CACHE", str(real.folder / "identities"))
        spec = load_spec(real.spec, OPTIONS)
        store = open_store(spec.store_location)
        return spec, store, make_plan(spec, store, spec.order())


KINDS = {
    "jules-mead-2008": "soil layers, of a single place",
    "uk-tmean-1910": "y and x of the British national grid",
    "cordex-africa-tas": "a rotated pole",
    "canesm2-places": "places along one dimension, years of 365 days",
    "canadian-cities": "names of places, time as the last dimension",
    "hadgem2es-rcp45-mrsos": "years of 360 days",
    "access-land-fraction": "no time",
    "land-mask": "no time",
    "tamsat-zambia-monthly": "months",
    "lpjml-wheat": "years",
    "era5-ghana-swvl1": "hours with gaps",
    "access-rain-carbon": "two variables",
    "c3s-soil-moisture-active": "integers, fill values, maps",
    "tamsat-native": "one day",
    "dry-days-canesm2": "a metric",
}


@pytest.mark.shared
@pytest.mark.xdist_group("real-samples")
def test_manifest_gives_another_input_than_the_plan(planned: Planned) -> None:
    _, store, plan = planned
    assert set(KINDS) <= set(plan.products)
    for each in plan.products.values():
        assert each.current
        assert_same_view(*views(store, each))
    projected = plan.products["uk-tmean-1910"].template
    assert (projected.space, projected.crs["epsg"]) == (("y", "x"), 27700)


@pytest.mark.shared
@pytest.mark.xdist_group("real-samples")
@pytest.mark.parametrize("name", ["dry-days-mpiesm", "dry-days-canesm2"])
def test_derived_product_is_made_anew_because_its_input_is_pinned(planned: Planned, name: str) -> None:
    spec, store, plan = planned
    inputs = {each: views(store, plan.products[each])[1] for each in spec.inputs(name)}
    again = plan_product(spec, store, name, inputs)
    assert again.current
    assert again.fingerprint == plan.products[name].fingerprint
    assert dict(again.blocks) == dict(plan.products[name].blocks)
    assert again.core == plan.products[name].core


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept.empty(tmp_path, monkeypatch)


@pytest.mark.parametrize("layout", ["{segment: 1 years}", "{segment: 1 years, maps: true}", "{}"])
@pytest.mark.parametrize("first", [0, -100])
def test_pinning_or_releasing_makes_derived_products_anew(toy: Kept, layout: str, first: int) -> None:
    toy.build(toy.spec(layout, first=first, names=["pr"]))
    spec = toy.spec(layout, first=first, names=["pr"])
    for each in make_plan(spec, toy.store(), spec.order()).products.values():
        assert_same_view(*views(toy.store(), each))
    toy.roll_back(toy.version())
    before = toy.tree()
    outcome = toy.build(spec)
    assert (outcome.held, outcome.current, outcome.built) == ({"rain": toy.version()}, ["dry"], [])
    toy.release()
    outcome = toy.build(spec)
    assert (outcome.held, outcome.current, outcome.built) == ({}, ["rain", "dry"], [])
    del before["inputs/rain/state.json"]
    after = toy.tree()
    del after["inputs/rain/state.json"]
    assert after == before


def test_several_variables_or_a_growing_archive_give_another_input(
    toy: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.build(toy.spec(metric=False, names=["tas", "pr"]))
    spec = toy.spec(metric=False, names=["tas", "pr"])
    assert_same_view(*views(toy.store(), make_plan(spec, toy.store(), ["rain"]).products["rain"]))
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    growing = Growing(tmp_path / "growing", monkeypatch)
    for days in (range(40), range(40, 43)):
        growing.write(days)
        growing.build(maps=True)
        spec = growing.spec(maps=True)
        store = open_store(spec.store_location)
        assert_same_view(*views(store, make_plan(spec, store, ["rain"]).products["rain"]))


@pytest.mark.parametrize("name", ["lat/c/0", "lon/c/0", "zarr.json"])
@pytest.mark.parametrize("damage", ["flipped", "swapped", "gone"])
def test_damaged_coordinate_is_passed_on(toy: Kept, name: str, damage: str) -> None:
    toy.build(toy.spec(metric=False))
    group = toy.rain / toy.version() / "time.zarr"
    path = group / name
    data = path.read_bytes()
    if damage == "flipped":
        path.write_bytes(data[:-6] + bytes([data[-6] ^ 1]) + data[-5:])
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            (group / {"zarr.json": "pr/zarr.json", "lat/c/0": "lon/c/0"}.get(name, "lat/c/0")).read_bytes()
        )
    live = read_live(toy.store(), RAIN)
    assert live is not None
    with pytest.raises(IntegrityError):
        published_view(toy.store(), RAIN, live)
    with pytest.raises(IntegrityError, match="cube rollback rain"):
        pinned_view(toy.store(), RAIN)


def test_proofs_are_those_of_other_objects(toy: Kept) -> None:
    import hashlib

    toy.build(toy.spec("{segment: 1 years, maps: true}", metric=False))
    version = toy.rain / toy.version()
    proofs = proofs_of(json.loads((version / "manifest.json").read_text()))
    files = {str(path.relative_to(version)): path for path in (version / "time.zarr").rglob("*") if path.is_file()}
    assert proofs == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert "time.zarr/pr/c/2/0/0" in proofs


def test_pinned_product_that_lost_its_item_looks_whole(toy: Kept) -> None:
    toy.build(toy.spec(metric=False))
    assert pinned_view(toy.store(), RAIN) is not None
    (toy.rain / "rain.json").unlink()
    with pytest.raises(IntegrityError, match="cube rollback rain"):
        pinned_view(toy.store(), RAIN)
    (toy.rain / "state.json").unlink()
    assert pinned_view(toy.store(), RAIN) is None
