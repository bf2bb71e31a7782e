"""The life of a cube whose builder is killed at random moments: built, grown, damaged, changed, rolled back, swept."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cube.versions import read_state, write_state
from tests.faults.checks import Expected, Ordeal, assert_readable, fingerprint, only_live
from tests.faults.conftest import Range
from tests.faults.harness import KILLED, Cube, Run

MOMENTS = 300
"""Within so many of a run it is killed: a build from nothing has twice as many, one of just `wet` three quarters."""
STEPS = ["block", "mark", "first pass", "pass mark", "take-over", "references", "seal", "item flip", "catalogue"]
"""Those that are seldom met by chance."""


class Life:
    """deaths: how often a command died, by step."""

    def __init__(self, range_: Range, cube: Cube, chance: random.Random) -> None:
        self.range = range_
        self.cube = cube
        self.chance = chance
        self.deaths: Counter[str] = Counter()

    def build(self, folders: Sequence[str], before: Sequence[Expected], after: Expected, kills: int) -> None:
        """Bring it up to date with these folders of the archive, killed at most so often on the way."""
        self.cube.declare(folders)
        self.go_through(Ordeal(self.cube, before, after), kills)

    def go_through(self, ordeal: Ordeal, kills: int) -> None:
        """Kill a command so often, or until it comes to its end before; then leave it alone."""
        for _ in range(kills):
            if self.strike(ordeal).code == 0:
                ordeal.assert_finished()
                return
        ordeal.finish()

    def strike(self, ordeal: Ordeal) -> Run:
        """Run the command; mostly it is killed, at any moment or in a step that passes quickly."""
        run = ordeal.suffer(**(self.moment() if self.chance.random() < 0.5 else self.step()))
        if run.code == KILLED:
            self.deaths[run.trace[-1].step if run.trace else "before any change"] += 1
        return run

    def moment(self) -> dict[str, Any]:
        within = MOMENTS if "rain" in self.cube.products else MOMENTS // 2
        delay = self.chance.choice([0.0, 0.0, self.chance.uniform(0, 0.03)])
        return {"event": self.chance.randrange(within), "delay": delay}

    def step(self) -> dict[str, Any]:
        moments = ["before", "torn", "after"] if self.cube.remote else ["before", "torn", "middle", "after"]
        return {
            "step": self.chance.choice(STEPS),
            "moment": self.chance.choice(moments),
            "nth": self.chance.randrange(3),
        }

    def live(self) -> None:
        """All that can happen to a cube, killed some thirty times."""
        base, grown, changed = self.range.base, self.range.grown, self.range.changed
        self.build(["base"], [], base, 7)
        # Begun with other files and never finished.
        self.cube.declare(["changed"])
        assert self.cube.run(step="mark", nth=self.chance.randrange(6)).code == KILLED
        assert_readable(self.cube, [base])
        self.deaths["mark"] += 1
        self.build(["base", "more"], [base], grown, 6)
        damaged = self.damage()
        self.go_through(Ordeal(self.cube, [], grown, ("build", "--repair"), damaged=damaged), 6)
        self.build(["changed", "more"], [grown], changed, 6)
        self.roll_back("rain", grown.versions["rain"], [changed], grown)
        self.build(["changed", "more"], [grown], changed, 3)
        self.sweep(changed)

    def roll_back(self, product: str, version: str, before: Sequence[Expected], after: Expected) -> None:
        """Return to the version that was published with this fingerprint last, and release it again."""
        kept = read_state(self.cube.store, self.cube.path(product)).kept
        to = next(each for each in kept if fingerprint(each) == fingerprint(version))
        for options in (["--to", to], ["--release"]):
            ordeal = Ordeal(self.cube, before, after, ("rollback", product, *options))
            while self.strike_early(ordeal).code == KILLED:
                pass
            assert self.cube.versions()[product] == to

    def strike_early(self, ordeal: Ordeal) -> Run:
        """Run a command that changes little; it is killed as often as not."""
        run = ordeal.suffer(event=self.chance.randrange(40))
        if run.code == KILLED:
            self.deaths[f"rollback: {run.trace[-1].step}"] += 1
        return run

    def sweep(self, after: Expected) -> None:
        """Delete all that nobody needs; nothing else is left then."""
        assert self.cube.run("gc").code == 0  # notes versions that it sees for the first time
        forget(self.cube)
        self.go_through(Ordeal(self.cube, [], after, ("gc", "--keep", "1", "--days", "0")), 4)
        for each in self.cube.store.leftovers(""):
            self.cube.store.sweep(each)
        found, wanted = set(self.cube.names()) - {".compare-and-set"}, only_live(self.cube)
        assert found == wanted, sorted(found ^ wanted)

    def damage(self) -> list[str]:
        """Flip a bit, cut or delete some shards; the versions that are damaged."""
        versions = []
        for name, version in self.cube.versions().items():
            prefix = self.cube.path(name).version(version)
            shards = [key for key in self.cube.store.walk(prefix) if ".zarr/pr/c/" in key]
            for key in self.chance.sample(shards, min(2, len(shards))):
                data = self.cube.store.get(key)
                self.cube.store.delete(key)
                how = self.chance.choice(["flip", "cut", "delete"])
                if how != "delete":
                    at = self.chance.randrange(len(data))
                    flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
                    self.cube.store.put(key, flipped if how == "flip" else data[:at])
                versions.append(version)
        return versions


def forget(cube: Cube) -> None:
    """Let what was replaced or abandoned be so for years."""
    for name in cube.products:
        state = read_state(cube.store, cube.path(name))
        write_state(cube.store, cube.path(name), replace(state, left=dict.fromkeys(state.left, "2020-01-01T00:00:00Z")))


def table(deaths: dict[str, Counter[str]]) -> str:
    """Kills by step, a column for each kind of store."""
    steps = sorted({step for each in deaths.values() for step in each})
    rows: list[list[Any]] = [["step", *deaths]]
    rows += [[step, *(each[step] for each in deaths.values())] for step in steps]
    rows.append(["all", *(each.total() for each in deaths.values())])
    return "\n".join("  ".join(f"{cell!s:>16}" for cell in row) for row in rows)
