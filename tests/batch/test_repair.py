"""Damage of every kind of object: found and named, and mended by remaking just what is damaged."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from cube.live import read_live
from cube.stores import open_store
from cube.verify import verify
from tests.batch.damage import (
    ALL_BLOCKS,
    DAMAGES,
    DAYS,
    FIRST_YEAR,
    RAIN,
    SPAN,
    Sound,
    assert_whole,
    damage,
    flipped,
    verified,
    with_references,
)
from tests.batch.series import MONTH, YEAR, Series, counts, name_of, often, series, small_blocks, tree

OBJECTS = ("shard", "last shard", "shard of maps", "group", "array", "latitudes", "dates", "references")
RECORDS = ("manifest", "manifest of another", "item", "state")
DERIVED = ("mark", "collection", "catalogue")
BLOCKS = {"shard": 1, "last shard": 1, "shard of maps": 1}
"""Blocks that a repair computes; what else there is comes without."""
FILES = {"shard": FIRST_YEAR, "last shard": {name_of(DAYS[-MONTH:])}}
"""Archive files that a repair reads."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return Sound.made(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def rain(sound, tmp_path, monkeypatch):
    return sound.series(tmp_path, monkeypatch)


@pytest.mark.parametrize("kind", [*OBJECTS, *RECORDS])
def test_damage_is_not_found_or_not_named(sound, rain, kind):
    key, other = sound.kinds[kind].key, sound.kinds[kind].other
    path = rain.folder / "cube" / key
    size = path.stat().st_size
    for how in DAMAGES if kind != "state" else DAMAGES[1:]:
        sound.damage(rain.folder / "cube", kind, how)
        if how == "swapped":
            assert verified(rain, "--deep") == (6, [key])
        found = verify(open_store(rain.folder / "cube"), RAIN, deep=True)
        assert [problem.where for problem in found.problems] == [key], how
        same_size = how == "flipped" or (how == "swapped" and len(other) == size)
        found = verify(open_store(rain.folder / "cube"), RAIN)
        wanted = [] if same_size and kind not in RECORDS else [key]
        assert [problem.where for problem in found.problems] == wanted, how
        path.unlink(missing_ok=True)
        path.hardlink_to(sound.folder / "cube" / key)


def test_lost_state_is_damage(sound, rain):
    sound.damage(rain.folder / "cube", "state", "deleted")
    assert verified(rain, "--deep") == (0, []), "it is made anew from the item"
    assert rain.build().current == ["rain", "dry"]
    assert json.loads((rain.folder / "cube/inputs/rain/state.json").read_bytes())["kept"] == [Path(sound.root).name]


def test_damage_is_in_no_share(sound, rain):
    key = sound.damage(rain.folder / "cube", "shard", "swapped")
    parts = [verified(rain, "--share", f"{part}/3") for part in (1, 2, 3)]
    assert sorted(parts) == [(0, []), (0, []), (6, [key])]


@pytest.mark.parametrize("kind", ["item", "state"])
def test_some_flipped_bit_of_a_record_is_not_found(sound, rain, kind):
    path = rain.folder / "cube" / sound.kinds[kind].key
    data = path.read_bytes()
    path.unlink()
    for position in np.random.default_rng(2).integers(0, len(data), 30):
        path.write_bytes(flipped(data, int(position)))
        found = verify(open_store(rain.folder / "cube"), RAIN)
        assert sound.kinds[kind].key in [problem.where for problem in found.problems], position


def test_item_without_one_of_its_fields_is_a_traceback(rain):
    path = rain.folder / "cube/inputs/rain/rain.json"
    item = json.loads(path.read_bytes())
    path.unlink()
    for field in item:
        path.write_text(json.dumps({each: value for each, value in item.items() if each != field}))
        assert verify(open_store(rain.folder / "cube"), RAIN).problems
        outcome = rain.build()
        assert (outcome.exit_code, outcome.built) in ((0, []), (6, []))


@pytest.mark.parametrize(
    ("kind", "how"),
    often(
        ("mark", "emptied"),
        ("collection", "deleted"),
        ("collection", "swapped"),
        ("catalogue", "truncated"),
        all_of=itertools.product(DERIVED, DAMAGES),
    ),
)
def test_damage_of_what_is_derived_stays_or_stops_a_build(sound, rain, kind, how):
    before = tree(rain.folder / "cube")
    sound.damage(rain.folder / "cube", kind, how)
    assert verified(rain, "--deep") == (0, [])
    outcome = rain.build()
    assert (outcome.failed, outcome.current) == ({}, ["rain", "dry"])
    after = tree(rain.folder / "cube")
    if kind == "mark":
        before, after = (
            {name: data for name, data in each.items() if "/ledger/" not in name} for each in (before, after)
        )
    assert {**after, "lock": b""} == {**before, "lock": b""}


@pytest.mark.parametrize(
    ("kind", "how"),
    often(
        ("shard", "flipped"),
        ("shard of maps", "swapped"),
        ("references", "truncated"),
        ("manifest", "deleted"),
        ("item", "flipped"),
        ("state", "swapped"),
        all_of=itertools.product((*OBJECTS, *RECORDS), DAMAGES),
    ),
)
def test_repair_makes_more_or_less_than_what_is_damaged(sound, rain, kind, how):
    sound.damage(rain.folder / "cube", kind, how)
    before = tree(rain.folder / "cube" / sound.root)
    outcome = rain.build(repair=True)
    made = BLOCKS.get(kind, 0)
    assert counts(outcome) == ({} if kind == "state" else {"rain": (made, ALL_BLOCKS - made)})
    assert rain.read_files == FILES.get(kind, set())
    # What was made from the product was proven when it was read.
    assert outcome.current == (["rain", "dry"] if kind == "state" else ["dry"])
    assert tree(rain.folder / "cube" / sound.root) == before
    assert rain.objects() == {
        name: data for name, data in tree(sound.folder / "cube" / sound.root).items() if "ledger/" not in name
    }
    assert_whole(rain)
    after = tree(rain.folder / "cube")
    assert not rain.build().built
    assert tree(rain.folder / "cube") == after


def test_shared_damage_names_one_version_only(tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    project = Series(tmp_path, monkeypatch)
    project.metric = False
    versions = []
    for days in (range(YEAR), range(YEAR, YEAR + 1), range(YEAR + 1, YEAR + 2)):
        project.write(days)
        project.build()
        versions.append(project.root().name)
    shared, own = project.root() / "time.zarr/pr/c/0/1/0", project.root() / "time.zarr/pr/c/1/1/0"
    assert shared.stat().st_nlink == 3
    for path in (shared, own):
        data = path.read_bytes()
        path.write_bytes(flipped(data))  # into the file, as a broken disk does it
    found = verify(open_store(tmp_path / "cube"), RAIN, deep=True)
    texts = {problem.where.rpartition("/c/")[2]: problem.what for problem in found.problems}
    assert set(texts) == {"0/1/0", "1/1/0"}
    assert all(version in texts["0/1/0"] for version in versions[:2])
    assert not any(version in texts["1/1/0"] for version in versions[:2])
    assert counts(project.build(repair=True))["rain"][0] == 2
    assert verify(open_store(tmp_path / "cube"), RAIN, deep=True).problems == ()
    np.testing.assert_array_equal(project.open()["pr"].values, series("pr", range(YEAR + 2)))


def test_lost_manifest_lets_damage_be_taken_over(sound, rain):
    """Without the manifest the ledger tells what was written; what it cannot prove is made from the files."""
    for kind, how in (("manifest", "deleted"), ("shard", "swapped"), ("mark", "emptied")):
        sound.damage(rain.folder / "cube", kind, how)
    mark = rain.root() / "ledger/time/pr/1.0.0.json"
    damage(mark, "emptied")
    assert rain.build().exit_code == 6
    assert counts(rain.build(repair=True)) == {"rain": (2, ALL_BLOCKS - 2)}
    assert rain.read_files == {name_of(range(day, day + SPAN)) for day in range(0, 2 * YEAR, SPAN)}
    assert_whole(rain)


@pytest.mark.parametrize("repair", [True, pytest.param(False, marks=pytest.mark.soak)])
def test_item_of_an_earlier_version_is_taken_for_the_published_one(rain, repair):
    earlier = (rain.folder / "cube/inputs/rain/rain.json").read_bytes()
    rain.write(range(DAYS.stop, DAYS.stop + 1))
    rain.build()
    published = rain.root().name
    (rain.folder / "cube/inputs/rain/rain.json").write_bytes(earlier)
    assert verified(rain) == (6, ["inputs/rain/rain.json"])
    outcome = rain.build(repair=repair)
    # Blocks of the newer version are still there; nothing is computed.
    assert counts(outcome) == {"rain": (0, ALL_BLOCKS)}
    assert rain.root().name.partition("-")[0] == published.partition("-")[0]
    assert_whole(rain, DAYS.stop + 1)


def test_repair_without_inputs_touches_what_is_published(sound, rain):
    """Files that are gone: what is published stays as it is, and the failure names them."""
    sound.damage(rain.folder / "cube", "shard", "deleted")
    before = tree(rain.folder / "cube")
    gone = rain.archive / name_of(range(SPAN, 2 * SPAN))
    kept = gone.read_bytes()
    gone.unlink()
    outcome = rain.build(repair=True)
    assert (outcome.exit_code, [each.code for each in outcome.failed["rain"].problems]) == (3, ["time-gap"])
    shutil.move(rain.archive, rain.folder / "away")
    outcome = rain.build(repair=True)
    assert (outcome.exit_code, [each.code for each in outcome.failed["rain"].problems]) == (3, ["files-none"])
    after = tree(rain.folder / "cube")
    assert {name: data for name, data in after.items() if name != "lock"} == {
        name: data for name, data in before.items() if name != "lock"
    }
    with xr.open_zarr(rain.root() / "time.zarr") as found:
        np.testing.assert_array_equal(found["pr"].values[YEAR:], series("pr", DAYS[YEAR:]))
    shutil.move(rain.folder / "away", rain.archive)
    gone.write_bytes(kept)
    assert counts(rain.build(repair=True)) == {"rain": (1, ALL_BLOCKS - 1)}
    assert_whole(rain)


def test_damaged_part_of_parquet_references_is_not_found_or_stays(tmp_path, monkeypatch):
    with_references(monkeypatch, parquet_above=0)
    project = Series(tmp_path, monkeypatch)
    project.maps = project.metric = False
    project.more = '    references: {base_url: "https://data.example.org/rain"}'
    project.write(DAYS[: 2 * MONTH])
    project.build()
    sound = project.objects()
    parts = [name for name in sound if name.startswith("references.parquet/")]
    assert len(parts) == 5
    for name, how in zip(parts, DAMAGES, strict=True):
        damage(project.root() / name, how, sound["manifest.json"])
    code, named = verified(project, "--deep")
    assert code == 6
    assert sorted(each.split("/", 3)[3] for each in named) == sorted(parts)
    assert counts(project.build(repair=True)) == {"rain": (0, 1)}
    assert project.objects() == sound
    assert verified(project, "--deep") == (0, [])


@pytest.mark.s3
@pytest.mark.parametrize("how", [(None, b"other"), pytest.param((b"other", None), marks=pytest.mark.soak)])
def test_repair_on_an_object_store_makes_more_or_less(tmp_path, monkeypatch, s3_server, s3_url, how):
    """how: what a manifest and a shard become, None for deleted ones."""
    small_blocks(monkeypatch)
    project = Series(tmp_path, monkeypatch)
    project.store, project.storage = s3_url, f'storage: {{endpoint_url: "{s3_server.endpoint_url}"}}'
    project.metric = False
    project.write(range(SPAN), SPAN)
    spec = project.spec()
    store = open_store(spec.store_location, spec.storage)
    assert counts(project.build()) == {"rain": (3, 0)}
    first = RAIN.version(read_live(store, RAIN).version)
    wanted = {key.removeprefix(first): store.get(key) for key in store.walk(first) if "/ledger/" not in key}
    for name, new, made in (
        ("/manifest.json", how[0], 0),
        ("/time.zarr/pr/c/0/1/0", how[1] and wanted["/time.zarr/pr/c/0/0/0"], 1),
    ):
        prefix = RAIN.version(read_live(store, RAIN).version)
        # Copies are objects of their own: the block would be taken over from that of an earlier version.
        for key in [key for key in store.walk(RAIN.prefix) if key.endswith(name)]:
            store.delete(key)
        if new is not None:
            store.put(prefix + name, new, immutable=False)
        assert [problem.where for problem in verify(store, RAIN, deep=True).problems] == [prefix + name]
        before = {key: store.get(key) for key in store.walk(prefix)}
        assert counts(project.build(repair=True)) == {"rain": (made, 3 - made)}
        assert {key: store.get(key) for key in store.walk(prefix)} == before
        assert verify(store, RAIN, deep=True).problems == ()
        now = RAIN.version(read_live(store, RAIN).version)
        assert now != prefix
        assert {key.removeprefix(now): store.get(key) for key in store.walk(now) if "/ledger/" not in key} == wanted
    assert not project.build().built
