"""Returning to a kept version: readers have it whole, and builds leave it alone until it is released."""

from __future__ import annotations

import json

import numpy as np
import pytest

from batch.plan import make_plan
from cube import versions
from cube.errors import BusyError, InputError, IntegrityError, Problem, SpecError
from cube.lock import hold, place_of_lock
from tests.batch.archive import write_day
from tests.batch.kept import LENGTHS, RAIN, Kept, Remote
from tests.batch.test_append import Growing, interrupted
from tests.batch.toy import Toy, ToyOptions, expected


def dry_days(options: ToyOptions) -> np.ndarray:
    """Days below 4 mm of 1970 and 1971, counted by numpy alone."""
    rain = expected(options)[:730]
    return np.stack([(rain[:365] < 4).sum(axis=0), (rain[365:] < 4).sum(axis=0)])


@pytest.mark.parametrize("back", [1, 2])
def test_kept_version_comes_back_as_another(three, back):
    target = three.versions[-1 - back]
    before = three.tree()
    pinned = three.roll_back(target if back == 2 else None)
    assert pinned.version == three.version() == three.state()["pin"] == target
    three.assert_rain(LENGTHS[-1 - back])
    changed = {name for name, value in three.tree().items() if before.get(name) != value}
    assert changed == {"inputs/rain/rain.json", "inputs/rain/state.json", "inputs/collection.json"}
    assert three.state()["kept"][0] == target
    assert set(three.state()["kept"]) == set(three.versions)


def test_catalogue_tells_of_the_version_that_is_gone(three):
    published = json.loads((three.rain / "rain.json").read_text())
    three.roll_back()
    item = json.loads((three.rain / "rain.json").read_text())
    assert item["properties"]["created"] == published["properties"]["created"]
    assert item["properties"]["end_datetime"] == "1972-06-18T23:59:59Z"
    collection = json.loads((three.folder / "cube/inputs/collection.json").read_text())
    assert collection["extent"]["temporal"]["interval"] == [["1970-01-01T00:00:00Z", "1972-06-18T23:59:59Z"]]


@pytest.mark.parametrize("change", ["nothing", "grown", "changed", "shorter", "title", "unreadable"])
def test_build_takes_back_what_was_rolled_back(three, monkeypatch, change):
    three.roll_back()
    target = three.versions[1]
    options = {"grown": {"days": 1100}, "changed": {"changed": [3]}, "shorter": {"days": 20}}.get(change, {})
    spec = three.spec(metric=False, **{"days": 1000, **options})
    if change == "title":
        product = spec.products["rain"].model_copy(update={"title": "Another title"})
        spec = spec.model_copy(update={"products": {"rain": product}})
    if change == "unreadable":
        # The archive is gone: nothing of the product could be planned.
        monkeypatch.setattr(Toy, "create", lambda *_: (_ for _ in ()).throw(InputError(Problem("files-none", "gone"))))
    before = three.tree()
    plan = make_plan(spec, three.store(), ["rain"])
    assert {name: (held.pin, held.published) for name, held in plan.held.items()} == {"rain": (target, target)}
    assert not plan.products
    outcome = three.build(spec)
    assert (outcome.held, outcome.built, outcome.current, outcome.exit_code) == ({"rain": target}, [], [], 0)
    assert not Toy.computed
    assert three.tree() == before


def test_operator_is_not_told_of_a_pin(three):
    assert "pin" not in json.loads(three.run("status", "--json").stdout)[0]
    said = three.run("rollback", "rain")
    assert said.exit_code == 0
    first, target, last = three.versions
    assert f"{target} is published and pinned; `cube rollback rain --release` ends it" in said.output
    assert first in said.output
    assert last in said.output
    three.spec(metric=False, days=1100)
    for command in ("plan", "build"):
        assert f"rain: pinned to {target}; `cube rollback rain --release` ends it" in three.run(command).output
        result = three.run(command, "--json")
        assert (result.exit_code, json.loads(result.stdout)["held"]) == (0, {"rain": target})
    (row,) = json.loads(three.run("status", "--json").stdout)
    assert row["version"] == row["pin"] == target
    assert "pinned" in three.run("status").output
    assert f"released from {target}" in three.run("rollback", "rain", "--release").output
    assert "it is not pinned" in three.run("rollback", "rain", "--release").output
    assert json.loads(three.run("build", "--json").stdout)["held"] == {}
    three.assert_rain(1100)


def test_derived_products_are_made_from_what_was_rolled_back(toy):
    sound, wrong = {"days": 800, "changed": [50, 51, 52]}, {"days": 800, "changed": [400, 401]}
    toy.build(toy.spec(**sound))
    toy.build(toy.spec(**wrong))
    np.testing.assert_array_equal(toy.open("dry", "metrics")["dry_days"], dry_days(ToyOptions(**wrong)))
    toy.roll_back()
    # The specification and what it names are still the wrong ones.
    outcome = toy.build(toy.spec(**wrong))
    assert [built.name for built in outcome.built] == ["dry"]
    assert not Toy.computed
    np.testing.assert_array_equal(toy.open("dry", "metrics")["dry_days"], dry_days(ToyOptions(**sound)))
    toy.assert_whole()
    assert toy.build(toy.spec(**wrong)).current == ["dry"]
    toy.release()
    outcome = toy.build(toy.spec(**wrong))
    assert {built.name: built.computed for built in outcome.built} == {"rain": 0, "dry": 0}
    np.testing.assert_array_equal(toy.open("dry", "metrics")["dry_days"], dry_days(ToyOptions(**wrong)))


def test_derived_product_is_cut_without_a_word(toy):
    toy.build(toy.spec(days=740))
    toy.build(toy.spec(days=1100))
    assert toy.open("dry", "metrics").sizes["time"] == 3
    toy.roll_back()
    outcome = toy.build(toy.spec(days=1100))
    assert outcome.failed["dry"].problems[0].code == "retraction"
    assert toy.open("dry", "metrics").sizes["time"] == 3
    toy.roll_back(name="dry")
    assert toy.build(toy.spec(days=1100)).held == {"rain": toy.version(), "dry": toy.version("dry", "metrics")}
    np.testing.assert_array_equal(toy.open("dry", "metrics")["dry_days"], dry_days(ToyOptions(days=740)))


def test_release_computes_what_is_kept(three):
    three.build(three.spec(metric=False, days=1000, changed=[3, 500]))
    live = three.version()
    three.roll_back(three.versions[0])
    assert three.release() == three.versions[0]
    three.assert_rain(800)
    outcome = three.build(three.spec(metric=False, days=1000, changed=[3, 500]))
    assert [(built.computed, built.taken) for built in outcome.built] == [(0, 3)]
    assert not Toy.computed
    three.assert_rain(1000, changed=(3, 500))
    assert three.version() == live.replace("-1", "-2")


def test_growth_during_a_pin_computes_the_history_again(three):
    three.roll_back(three.versions[0])
    three.build(three.spec(metric=False, days=1100))
    three.release()
    outcome = three.build(three.spec(metric=False, days=1200))
    assert Toy.computed == ["pr 732", "pr 1098"]
    assert [(built.computed, built.taken) for built in outcome.built] == [(2, 2)]
    three.assert_rain(1200)


def test_version_that_was_begun_before_a_pin_is_lost(three, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("batch.making.publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            three.build(three.spec(metric=False, days=1500))
    staged = three.state()["staged"]["version"]
    three.roll_back()
    three.build(three.spec(metric=False, days=1500))
    assert three.state()["staged"]["version"] == staged
    three.release()
    three.build(three.spec(metric=False, days=1500))
    assert not Toy.computed
    assert three.version() == staged
    three.assert_rain(1500)


def _without_object(version):
    (version / "time.zarr/pr/c/1/0/0").unlink()


def _truncated(version):
    path = version / "time.zarr/pr/c/1/0/0"
    data = path.read_bytes()
    path.unlink()  # the other versions keep theirs
    path.write_bytes(data[:-30])


def _without_manifest(version):
    (version / "manifest.json").unlink()


def _empty_manifest(version):
    (version / "manifest.json").write_text("{}")


def _manifest_of_another(version):
    other = next(each for each in version.parent.glob("*-1") if each != version)
    (version / "manifest.json").write_bytes((other / "manifest.json").read_bytes())


def _without_structure(version):
    (version / "time.zarr/zarr.json").unlink()


@pytest.mark.parametrize(
    ("damage", "published"),
    [
        (_without_object, False),
        (_truncated, False),
        (_without_manifest, False),
        (_empty_manifest, False),
        (_manifest_of_another, False),
        (_without_structure, False),
        (_without_object, True),
        (_manifest_of_another, True),
    ],
)
def test_damaged_version_is_returned_to(three, damage, published):
    target = three.versions[2 if published else 1]
    damage(three.rain / target)
    before = three.tree()
    with pytest.raises(IntegrityError) as caught:
        three.roll_back(target)
    assert all(target in problem.where and "--to" in problem.fix for problem in caught.value.problems)
    assert three.tree() == before
    result = three.run("rollback", "rain", "--to", target)
    assert result.exit_code == 6
    assert three.tree() == before


@pytest.mark.parametrize("target", ["0123456789ab-1", "../../elsewhere", "rain.json", "tombstoned", "collected"])
def test_version_that_is_not_kept_is_returned_to(three, target):
    if target == "tombstoned":
        target = three.versions[1]
        (three.rain / target / versions.TOMBSTONE).write_text("{}")
    elif target == "collected":
        target = three.versions[0]
        three.age(31)
        assert [each.version for each in three.collect()] == [target]
    before = three.tree()
    with pytest.raises(SpecError) as caught:
        three.roll_back(target)
    (problem,) = caught.value.problems
    assert problem.code == "version-unknown"
    assert three.versions[1] in problem.fix
    assert three.tree() == before
    assert three.run("rollback", "rain", "--to", target).exit_code == 2


def test_first_version_or_none_is_rolled_back(toy):
    toy.spec(metric=False)
    with pytest.raises(SpecError, match="no earlier version"):
        toy.roll_back()
    toy.build(toy.spec(metric=False))
    before = toy.tree()
    with pytest.raises(SpecError, match="no earlier version"):
        toy.roll_back()
    assert toy.tree() == before
    assert toy.run("rollback", "rainn").exit_code == 2
    assert toy.run("rollback", "rain", "--to", toy.version(), "--release").exit_code == 2


@pytest.mark.parametrize("damage", [_without_object, _truncated, _without_manifest, _empty_manifest, "item", "garbage"])
def test_damage_of_the_published_version_forbids_leaving_it(three, damage):
    if damage == "item":
        (three.rain / "rain.json").unlink()
    elif damage == "garbage":
        (three.rain / "rain.json").write_text('{"id": "rain"')
    else:
        damage(three.rain / three.versions[2])
    assert three.roll_back().version == three.versions[1]
    three.assert_rain(900)
    assert three.build(three.spec(metric=False, days=1000)).held == {"rain": three.versions[1]}
    three.release()
    outcome = three.build(three.spec(metric=False, days=1000))
    assert not outcome.failed
    three.assert_rain(1000)
    # What is whole of the damaged one was taken from it.
    assert Toy.computed == []


def test_lost_item_is_not_published_again_by_name(three):
    (three.rain / "rain.json").unlink()
    assert three.roll_back(three.versions[2]).version == three.versions[2]
    three.assert_rain(1000)


def test_damaged_state_is_overwritten(three):
    (three.rain / "state.json").write_text("{")
    before = three.tree()
    for arguments in ((), ("--to", three.versions[1]), ("--release",)):
        result = three.run("rollback", "rain", *arguments)
        assert result.exit_code == 6
        assert "state.json" in result.output
    assert three.tree() == before


MOMENTS = {
    "pin": ("batch.rollback.write_state", 2),
    "flip": ("batch.rollback.publish", 2),
    "state": ("cube.versions.write_state", 1),
    "catalogue": ("batch.rollback.catalogue_changes", 1),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("target", [None, 0])
def test_killed_rollback_leaves_readers_with_nothing_or_is_undone(three, monkeypatch, moment, target):
    place, live = MOMENTS[moment]
    first = three.versions[0 if target == 0 else 1]
    with monkeypatch.context() as patch:
        patch.setattr(place, interrupted)
        with pytest.raises(KeyboardInterrupt):
            three.roll_back(three.versions[0] if target == 0 else None)
    days = 1000 if live == 2 else 800 if target == 0 else 900
    three.assert_rain(days)
    outcome = three.build(three.spec(metric=False, days=1000))
    assert not outcome.built
    assert outcome.held == ({} if moment == "pin" else {"rain": first})
    three.assert_rain(days)
    if moment == "flip":
        text = f"pinned to {first}, but {three.versions[2]} is still published; `cube rollback rain` finishes it"
        assert text in three.run("build").output
        assert text in three.run("plan").output
        assert f"pinned to {first}" in three.run("status").output
    # The same command again, as it was given.
    assert three.roll_back(three.versions[0] if target == 0 else None).version == first
    three.assert_rain(800 if target == 0 else 900)
    assert three.state()["kept"][0] == three.state()["pin"] == first
    assert three.roll_back().version == first, "a pinned product must not move by saying it twice"
    interval = json.loads((three.folder / "cube/inputs/collection.json").read_text())["extent"]["temporal"]["interval"]
    assert interval[0][1][:10] == {800: "1972-03-10", 900: "1972-06-18"}[800 if target == 0 else 900]


@pytest.mark.parametrize("moment", ["flip", "state"])
def test_killed_rollback_cannot_be_called_off(three, monkeypatch, moment):
    with monkeypatch.context() as patch:
        patch.setattr(MOMENTS[moment][0], interrupted)
        with pytest.raises(KeyboardInterrupt):
            three.roll_back()
    three.release()
    three.assert_rain(1000 if moment == "flip" else 900)
    three.build(three.spec(metric=False, days=1000))
    assert not Toy.computed
    three.assert_rain(1000)


def test_rollback_passes_a_build_at_work(three):
    before = three.tree()
    with hold(place_of_lock(three.store())):
        for arguments in ((), ("--release",), ("--to", three.versions[0])):
            result = three.run("rollback", "rain", *arguments)
            assert result.exit_code == 7
            assert "another build is at work" in result.output
    assert three.tree() == before


def test_item_that_changed_meanwhile_is_overwritten(three, monkeypatch):
    item = three.rain / "rain.json"
    real = versions.publish

    def late(*arguments):
        item.write_text(item.read_text() + " ")
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("batch.rollback.publish", late)
        with pytest.raises(BusyError, match="superseded") as caught:
            three.roll_back()
    assert "run the same command again" in str(caught.value)
    assert three.version() == three.versions[2]
    three.assert_rain(1000)
    three.roll_back()
    three.assert_rain(900)


def test_published_version_cannot_be_pinned(three):
    before = three.tree()
    assert three.roll_back(three.versions[2]).version == three.versions[2]
    changed = {name for name, value in three.tree().items() if before[name] != value}
    assert changed == {"inputs/rain/state.json"}
    assert three.build(three.spec(metric=False, days=1100)).held == {"rain": three.versions[2]}
    three.roll_back(three.versions[0])
    three.assert_rain(800)
    assert three.state()["pin"] == three.versions[0]


@pytest.mark.parametrize("damage", [_without_object, _without_manifest, "item", "state"])
def test_damage_of_a_pinned_version_is_passed_over(three, damage):
    three.roll_back()
    if damage == "item":
        (three.rain / "rain.json").unlink()
    elif damage == "state":
        (three.rain / "state.json").write_text("[]")
    else:
        damage(three.rain / three.versions[1])
    spec = three.spec(metric=False, days=1000)
    repair = damage is _without_object  # found by looking at every object only
    outcome = three.build(spec, repair=repair)
    assert isinstance(outcome.failed["rain"], IntegrityError)
    assert not outcome.built
    if damage == "state":
        return
    assert "cube rollback rain" in str(outcome.failed["rain"])
    if damage == "item":
        assert three.roll_back().version == three.versions[1]
    else:
        three.release()
        assert not three.build(spec, repair=True).failed
    three.assert_whole(RAIN)


def test_text_says_that_damaged_data_are_unharmed(three):
    three.roll_back()
    (three.rain / "rain.json").unlink()
    three.spec(metric=False, days=1000)
    result = three.run("build")
    assert result.exit_code == 6
    assert "unharmed" not in result.output


def test_archive_that_is_gone_stops_a_rollback(tmp_path, monkeypatch):
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    growing = Growing(tmp_path, monkeypatch)
    growing.write(range(3))
    growing.build()
    first = growing.values()
    write_day(growing.folder / "archive", 1, values=np.full((5, 7), 5, "float32"))
    growing.build()
    (growing.folder / "archive").rename(growing.folder / "elsewhere")
    kept = Kept(tmp_path)
    assert isinstance(growing.build().failed["rain"], InputError)
    version = kept.roll_back().version
    np.testing.assert_array_equal(growing.values(), first)
    outcome = growing.build()
    assert (outcome.held, outcome.failed) == ({"rain": version}, {})
    (growing.folder / "elsewhere").rename(growing.folder / "archive")
    kept.release()
    growing.build()
    assert not growing.read_files, "the wrong day is what the archive holds, and it is kept"
    assert (growing.values()[1] == 5).all()


@pytest.mark.s3
def test_rollback_on_an_object_store_differs(toy, s3_url, s3_server):
    remote = Remote(toy.folder, s3_url, s3_server.endpoint_url)
    for days in LENGTHS:
        remote.build(remote.spec(days=days))
    assert remote.run("rollback", "rain").exit_code == 0
    np.testing.assert_array_equal(remote.values(), expected(ToyOptions(days=900)))
    assert not remote.build(remote.spec(days=1100)).built
    assert remote.run("rollback", "rain", "--release").exit_code == 0
    assert [(each.computed, each.taken) for each in remote.build(remote.spec(days=1100)).built] == [(2, 2)]
    np.testing.assert_array_equal(remote.values(), expected(ToyOptions(days=1100)))
    assert remote.run("verify", "--deep").exit_code == 0
