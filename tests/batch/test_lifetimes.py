"""Any order of building, killing, returning, releasing, deleting and repairing: what readers have, and what stays."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cube import versions
from cube.errors import IntegrityError, SpecError
from tests.batch.kept import Kept
from tests.batch.test_append import interrupted
from tests.batch.test_gc import Dying
from tests.batch.toy import Toy, ToyOptions, expected

YEARS = np.cumsum([365, 365, 366, 365, 365, 365, 366])
"""Days from 1970 to the end of each year."""


def whole_years(options: ToyOptions) -> int:
    return int((options.days >= YEARS).sum())


def dry_days(options: ToyOptions) -> np.ndarray:
    """Days below 4 mm of each whole year, by numpy alone."""
    parts = np.split(expected(options), YEARS)[: whole_years(options)]
    return np.stack([(part < 4).sum(axis=0) for part in parts])


class Lifetimes(RuleBasedStateMachine):
    """The model knows of each version what it holds, and how long it has been out of service."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.cube = Kept.empty(Path(tempfile.mkdtemp()), self.patch)
        self.wanted = ToyOptions(days=400)
        self.holds: dict[str, ToyOptions] = {}
        self.kept: list[str] = []
        self.staged: str | None = None
        self.abandoned: list[str] = []
        self.out: dict[str, float] = {}
        self.pin: str | None = None
        self.damaged: set[str] = set()
        self.sealed: set[str] = set()
        self.dry: ToyOptions | None = None
        self.reader: tuple[str, xr.Dataset] | None = None

    def teardown(self) -> None:
        shutil.rmtree(self.cube.folder)
        self.patch.undo()

    @property
    def live(self) -> str:
        return self.kept[0]

    # What the commands are expected to do.

    def published(self, version: str) -> None:
        """Readers are led to a version; when it is said in the state does not matter yet."""
        self.kept = [version, *(each for each in self.kept if each != version)]
        self.sealed.add(version)
        self.staged = None if version == self.staged else self.staged

    def settled(self) -> None:
        self.out.pop(self.live, None)
        for former in self.kept[1:]:
            self.out.setdefault(former, 0.0)

    def begun(self, version: str) -> None:
        if self.staged not in (None, version):
            self.abandoned.append(str(self.staged))
            self.out[str(self.staged)] = 0.0
        self.staged = version
        self.holds[version] = self.wanted

    def survivors(self, keep: int, days: float) -> set[str]:
        used = {self.live, self.pin, self.staged, *self.kept[:keep]}
        stay = {each for each in self.kept if self.out.get(each, 0.0) <= days and each != self.live}
        least = {each: max(1.0, days) if each in self.sealed else 1.0 for each in self.abandoned}
        return {*used, *stay, *(each for each in self.abandoned if self.out[each] <= least[each])} - {None}

    # Building.

    def spec(self) -> Any:
        return self.cube.spec(**self.wanted.model_dump(mode="json", exclude_defaults=True))

    def build(self, **options: Any) -> Any:
        known = set(self.holds)
        outcome = self.cube.build(self.spec(), **options)
        assert outcome.held == ({"rain": self.pin} if self.pin else {})
        if self.pin is None:
            self.followed(outcome, known)
        self.derived(outcome)
        return outcome

    def followed(self, outcome: Any, known: set[str]) -> None:
        """The product was brought up to date."""
        assert "rain" not in outcome.failed
        before = self.kept[0] if self.kept else None
        current = before and self.holds[before] == self.wanted and before not in self.damaged
        assert ("rain" in outcome.current) == bool(current)
        if not current:
            version = self.cube.version()
            if self.staged and self.holds[self.staged] == self.wanted:
                assert version == self.staged
            else:
                assert version not in known
            whole = (known & self.sealed & self.folders()) - self.damaged
            if any(self.holds[each] == self.wanted for each in whole):
                assert Toy.computed == [], "all of it is proven in a version that is kept or staged"
            self.begun(version)
            self.published(version)
        self.settled()

    def derived(self, outcome: Any) -> None:
        made_of = self.holds[self.live]
        if self.dry and whole_years(made_of) < whole_years(self.dry):
            assert outcome.failed["dry"].problems[0].code == "retraction"
        else:
            assert "dry" not in outcome.failed
            self.dry = made_of

    @initialize()
    def first_build(self) -> None:
        self.build()

    @rule(days=st.integers(1, 250))
    def grow_and_build(self, days: int) -> None:
        self.wanted = self.wanted.model_copy(update={"days": min(self.wanted.days + days, 2500)})
        self.build()

    @rule(day=st.sampled_from([3, 370]))
    def change_and_build(self, day: int) -> None:
        changed = {*self.wanted.changed} ^ {day}
        self.wanted = self.wanted.model_copy(update={"changed": tuple(sorted(changed))})
        self.build()

    @rule()
    def build_again(self) -> None:
        self.build()

    @precondition(lambda self: self.pin is None)
    @rule(days=st.integers(1, 400), moment=st.sampled_from(["block", "publish", "state"]))
    def grow_and_kill(self, days: int, moment: str) -> None:
        self.wanted = self.wanted.model_copy(update={"days": self.wanted.days + days})
        real = versions.write_state
        before = self.cube.version()

        def dies(store, path, state):  # type: ignore[no-untyped-def]
            # What a kill before this one left unsaid is said first.
            if path.product == "rain" and state.staged is None and self.cube.version() != before:
                raise KeyboardInterrupt
            real(store, path, state)

        with pytest.MonkeyPatch.context() as patch:
            if moment == "block":
                patch.setattr(Toy, "compute", interrupted)
            elif moment == "publish":
                patch.setattr("batch.making.publish", interrupted)
            else:
                patch.setattr(versions, "write_state", dies)
            with pytest.raises(KeyboardInterrupt):
                self.cube.build(self.spec())
        self.settled()
        self.begun(str(self.cube.state()["staged"]["version"]))
        assert self.staged is not None
        if moment != "block":
            self.sealed.add(self.staged)
        if moment == "state":
            self.published(self.staged)

    # Returning.

    @rule(which=st.one_of(st.none(), st.integers(0, 9)))
    def roll_back(self, which: int | None) -> None:
        target = self.kept[which % len(self.kept)] if which is not None else None
        wanted = target or self.pin or next(iter(self.kept[1:]), None)
        before = self.cube.tree()
        if wanted is None or wanted in self.damaged:
            with pytest.raises(SpecError if wanted is None else IntegrityError):
                self.cube.roll_back(target)
            assert self.cube.tree() == before
            return
        assert self.cube.roll_back(target).version == wanted
        self.pin = wanted
        self.settled()
        self.published(wanted)
        self.settled()

    @rule(which=st.integers(0, 9), moment=st.sampled_from(["flip", "state"]))
    def roll_back_and_kill(self, which: int, moment: str) -> None:
        target = self.kept[which % len(self.kept)]
        if target in self.damaged or target == self.live:
            return
        place = {"flip": "batch.rollback.publish", "state": "cube.versions.write_state"}[moment]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, interrupted)
            with pytest.raises(KeyboardInterrupt):
                self.cube.roll_back(target)
        self.settled()
        self.pin = target
        if moment == "state":
            self.published(target)

    @rule()
    def release(self) -> None:
        assert self.cube.release() == self.pin
        if self.pin is not None:
            self.settled()
        self.pin = None

    # Deleting.

    @rule(days=st.sampled_from([0.6, 5.0, 31.0]))
    def wait(self, days: float) -> None:
        self.cube.age(days)
        self.out = {version: age + days for version, age in self.out.items()}

    @rule(keep=st.sampled_from([1, 2]), days=st.sampled_from([0.5, 30.0]), at=st.one_of(st.none(), st.integers(0, 40)))
    def collect(self, keep: int, days: float, at: int | None) -> None:
        self.settled()
        stay = self.survivors(keep, days)
        told = {each.version for each in self.cube.collect(keep=keep, days=days, dry_run=True)}
        assert told == self.folders() - stay
        if at is not None:
            with pytest.MonkeyPatch.context() as patch:
                Dying(patch, at)
                with contextlib.suppress(KeyboardInterrupt):
                    self.cube.collect(keep=keep, days=days)
            self.readers_have_what_was_published()
        self.cube.collect(keep=keep, days=days)
        assert self.folders() == stay
        self.kept = [each for each in self.kept if each in stay]
        self.abandoned = [each for each in self.abandoned if each in stay]
        self.out = {version: age for version, age in self.out.items() if version in stay}
        # The name of a version that is gone is free for another attempt.
        self.holds = {version: options for version, options in self.holds.items() if version in stay}
        self.sealed &= stay
        self.damaged &= stay
        if self.reader and self.reader[0] not in stay:
            self.reader = None

    # Damage.

    @rule(block=st.integers(0, 9), truncated=st.booleans())
    def damage_and_repair(self, block: int, truncated: bool) -> None:
        shards = sorted((self.cube.rain / self.live / "time.zarr/pr/c").glob("*/0/0"))
        shard = shards[block % len(shards)]
        data = shard.read_bytes()
        shard.unlink()  # other versions may share it
        if truncated:
            shard.write_bytes(data[:-40])
        self.damaged.add(self.live)
        if self.reader and self.reader[0] == self.live:
            self.reader = None
        if self.pin is not None:
            outcome = self.cube.build(self.spec(), repair=True)
            assert isinstance(outcome.failed["rain"], IntegrityError)
            self.release()
        self.build(repair=True)

    # Readers.

    @rule()
    def open(self) -> None:
        self.reader = (self.live, self.cube.open())

    @invariant()
    def readers_have_what_was_published(self) -> None:
        if not self.kept:
            return
        assert self.cube.version() == self.live
        np.testing.assert_array_equal(self.cube.values(), expected(self.holds[self.live]))
        self.cube.assert_whole()
        if self.dry:
            np.testing.assert_array_equal(self.cube.open("dry", "metrics")["dry_days"], dry_days(self.dry))
        if self.reader:
            version, dataset = self.reader
            np.testing.assert_array_equal(dataset["pr"].values, expected(self.holds[version]))

    @invariant()
    def kept_versions_are_whole(self) -> None:
        known = {*self.kept, *self.abandoned, *([self.staged] if self.staged else [])}
        assert self.folders() == known
        for version in (known & self.sealed) - self.damaged:
            root = self.cube.rain / version
            objects = json.loads((root / "manifest.json").read_bytes())["objects"]
            for name, entry in objects.items():
                assert hashlib.sha256((root / name).read_bytes()).hexdigest() == entry["sha256"]

    @invariant()
    def state_is_what_happened(self) -> None:
        if self.kept:
            assert self.cube.state()["pin"] == self.pin

    def folders(self) -> set[str]:
        return {path.name for path in self.cube.rain.glob("*-*") if path.is_dir()}


@pytest.mark.service
def test_some_order_of_commands_loses_or_spoils_a_version() -> None:
    run_state_machine_as_test(Lifetimes, settings=settings(max_examples=6, stateful_step_count=12))


@pytest.mark.soak
def test_some_long_order_of_commands_loses_or_spoils_a_version() -> None:
    run_state_machine_as_test(Lifetimes, settings=settings(max_examples=300, stateful_step_count=40))
