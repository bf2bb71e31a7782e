"""Nothing is made from what is damaged, and lost records do not let readers lose anything."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from cube.errors import RefusedError
from tests.batch.damage import ALL_BLOCKS, DAMAGES, DAYS, FIRST_YEAR, SPAN, Sound, assert_whole, damage, verified
from tests.batch.series import MONTH, SHAPE, Series, counts, name_of, often, tree, write_file
from tests.batch.test_append import interrupted


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return Sound.made(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def rain(sound, tmp_path, monkeypatch):
    return sound.series(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("kind", "how"),
    often(
        ("last shard", "deleted"),
        ("last shard", "swapped"),
        ("array", "flipped"),
        all_of=itertools.product(["last shard", "array"], DAMAGES),
    ),
)
def test_append_to_a_damaged_tail_is_published(sound, rain, kind, how):
    key = sound.damage(rain.folder / "cube", kind, how)
    item = (rain.folder / "cube/inputs/rain/rain.json").read_bytes()
    rain.write(range(DAYS.stop, DAYS.stop + 2))
    outcome = rain.build()
    assert outcome.exit_code == 6
    assert key in str(outcome.failed["rain"])
    assert outcome.waiting == {"dry": "rain"}
    assert (rain.folder / "cube/inputs/rain/rain.json").read_bytes() == item


@pytest.mark.parametrize(
    "kind",
    often(
        ("last shard",), ("array",), all_of=[("last shard",), ("array",), ("shard",), ("shard of maps",), ("group",)]
    ),
)
def test_repair_of_what_grew_meanwhile_is_not_whole(sound, rain, kind):
    sound.damage(rain.folder / "cube", kind, "swapped")
    rain.write(range(DAYS.stop, DAYS.stop + 2))
    outcome = rain.build(repair=True)
    # The tail is two blocks of series and one of maps; one whose beginning is damaged starts from the files.
    # Of the dry days just those of the year that is going on.
    made = (4, 7) if kind.startswith("shard") else (3, 8)
    assert counts(outcome) == {"rain": made, "dry": (1, 2)}
    assert_whole(rain, DAYS.stop + 2)


@pytest.mark.parametrize(
    ("kind", "how"),
    often(
        ("shard", "deleted"),
        ("shard", "swapped"),
        all_of=itertools.product(["shard", "shard of maps"], ["deleted", "truncated", "flipped", "swapped"]),
    ),
)
def test_damaged_block_that_an_append_takes_over_is_lost_sight_of(sound, rain, kind, how):
    """What is not read is not proven: damage that has the same size goes along, and is found there."""
    sound.damage(rain.folder / "cube", kind, how)
    name = sound.kinds[kind].key.removeprefix(f"{sound.root}/")
    rain.write(range(DAYS.stop, DAYS.stop + 1))
    outcome = rain.build()
    if how in ("deleted", "truncated"):
        assert outcome.exit_code == 6
        assert name in str(outcome.failed["rain"])
        assert str(rain.root().relative_to(rain.folder / "cube")) == sound.root
    else:
        assert not outcome.failed
        code, named = verified(rain, "--deep")
        assert (code, [each.split("/", 3)[3] for each in named]) == (6, [name])
    assert counts(rain.build(repair=True))["rain"][0] <= 4
    assert_whole(rain, DAYS.stop + 1)


@pytest.mark.parametrize(
    ("kind", "how"),
    often(
        ("shard", "deleted"),
        ("shard", "swapped"),
        ("group", "deleted"),
        ("latitudes", "swapped"),
        all_of=itertools.product(["shard", "group", "latitudes", "dates"], DAMAGES),
    ),
)
def test_product_is_derived_from_damage(sound, rain, kind, how):
    key = sound.damage(rain.folder / "cube", kind, how)
    before = tree(rain.folder / "cube")
    rain.threshold = 1.25
    outcome = rain.build()
    assert outcome.exit_code == 6
    assert list(outcome.failed) == ["dry"]
    assert [problem.where for problem in outcome.failed["dry"].problems] == [key]
    after = tree(rain.folder / "cube")
    assert {name: after[name] for name in before if name not in ("lock", "metrics/dry/state.json")} == {
        name: data for name, data in before.items() if name not in ("lock", "metrics/dry/state.json")
    }


@pytest.mark.parametrize("how", often(("swapped",), all_of=[(how,) for how in DAMAGES]))
def test_maps_are_made_from_damage(sound, rain, how):
    rain.maps = False
    shutil.rmtree(rain.folder / "cube")
    rain.build()
    shard = rain.root() / "time.zarr/pr/c/0/1/0"
    damage(shard, how, (rain.root() / "time.zarr/pr/c/1/1/0").read_bytes())
    rain.maps = True
    for _ in range(2):
        outcome = rain.build()
        assert outcome.exit_code == 6
        assert [Path(each.where).name for each in outcome.failed["rain"].problems] == [shard.name]
        assert str(shard.relative_to(rain.folder / "cube")) in str(outcome.failed["rain"])
    rain.build(repair=True)
    assert_whole(rain)


def test_staged_version_that_is_finished_first_brings_damage_back(sound, rain, monkeypatch):
    shard = rain.folder / "cube" / sound.kinds["shard"].key
    data = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(data)
    rain.write(range(DAYS.stop, DAYS.stop + 1))
    with monkeypatch.context() as patch:
        patch.setattr("batch.making.publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            rain.build()
    assert shard.stat().st_nlink == 2
    shard.write_bytes(sound.kinds["shard"].other)  # into the file, which both versions share
    rain.write(range(DAYS.stop + 1, DAYS.stop + 2))
    outcome = rain.build(repair=True)
    assert [built.name for built in outcome.built] == ["rain", "rain", "dry"]
    assert_whole(rain, DAYS.stop + 2)


def less(project: Series, loss: str) -> None:
    """Give the next build less than is published."""
    if loss == "period":
        (project.archive / name_of(DAYS[-MONTH:])).unlink()
    elif loss == "start":
        for name in FIRST_YEAR:
            (project.archive / name).unlink()
    elif loss == "maps":
        project.maps = False
    elif loss == "area":
        project.more += "\n    area: {lat: [10.4, 13], lon: [-1, 4]}"
    elif loss == "variable":
        project.archive, project.metric = project.folder / "others", False
        write_file(project.archive / "tas.nc", DAYS, ("tas",))
    elif loss == "values":
        empty = np.full((SPAN, *SHAPE), np.nan, "float32")
        write_file(project.archive / name_of(range(SPAN)), range(SPAN), data=empty)


@pytest.mark.parametrize(
    ("lost", "loss"),
    often(
        ("item", "period"),
        *(("manifest", loss) for loss in ("period", "area", "values")),
        all_of=itertools.product(["manifest", "item"], ["period", "start", "maps", "area", "variable", "values"]),
    ),
)
def test_lost_record_lets_a_build_publish_less(sound, rain, lost, loss):
    sound.damage(rain.folder / "cube", lost, "deleted")
    less(rain, loss)
    outcome = rain.build(repair=lost == "manifest")
    assert isinstance(outcome.failed["rain"], RefusedError), outcome
    assert outcome.exit_code == 4
    assert {problem.code for problem in outcome.failed["rain"].problems} == {"retraction"}
    if lost == "manifest":
        assert rain.root().name == Path(sound.root).name
    else:
        assert not (rain.folder / "cube/inputs/rain/rain.json").exists()
    assert "rain" in counts(rain.build(repair=True, allow_retraction=True))


def test_lost_item_and_manifest_let_a_build_publish_less(sound, rain):
    for kind in ("item", "manifest"):
        sound.damage(rain.folder / "cube", kind, "deleted")
    less(rain, "period")
    assert rain.build().exit_code == 6
    outcome = rain.build(repair=True)
    assert "nothing tells what readers had" in str(outcome.failed["rain"])
    rain.write(DAYS[-MONTH:])
    outcome = rain.build(repair=True, allow_retraction=True)
    assert counts(outcome) == {"rain": (0, ALL_BLOCKS)}
    assert_whole(rain)
