"""Change as it is published, against scipy on the files that it is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import false_discovery_control, mannwhitneyu

from batch.build import Outcome, build
from batch.jobs import OPTIONS
from batch.reporting import Reporter
from batch.spec import load_spec
from compute.change.statistics import mann_whitney
from cube.catalogue import Cube
from tests.compute.metrics.toy import Serial
from tests.ingest.small_files import LATITUDES, LONGITUDES, write

Values = np.ndarray[Any, Any]
PAST, FUTURE = range(1980, 2005), range(2005, 2050)
WINDOWS = ((2010, 2034), (2025, 2049))

HEAD = """
title: Change
store: ./cube
memory: 1 GiB
cluster: {kind: local, workers: 0}
products:
  rain-{run}: {job: ingest, collection: inputs, source: cf, files: "{run}-*.nc", each: {run: [past, one, two, three]}}
  dry-{run}:
    job: metric
    collection: metrics
    metric: dry_days
    input: rain-{run}
    threshold: 1 mm d-1
    each: {run: [past, one, two, three]}
"""
CHANGE = """
  change:
    job: change
    collection: metrics
    models: [{models}]
    variables: [dry_days]
    past: {{start: 1980, end: 2004}}
    windows: [[2010, 2034], [2025, 2049]]
    {more}
"""
ONE = "{scenario: dry-one, past: dry-past}"


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr("batch.build.ProcessPoolExecutor", Serial)


def rain(years: range, seed: int, drier: float) -> Values:
    """Rain that falls less often with the years, more so eastward; one cell is sea, one has few years with values."""
    random = np.random.default_rng(seed)
    shape = (len(years), 365, len(LATITUDES), len(LONGITUDES))
    trend = drier * np.arange(len(LONGITUDES)) * (np.arange(len(years)) / 50.0)[:, None]
    chance = 0.5 - trend[:, None, None, :] + random.normal(0, 0.02, (len(years), 1, *shape[2:]))
    found = np.where(random.random(shape) < chance, 5.0, 0.0).astype(np.float32)
    found[:, :, 0, 0] = np.nan
    found[:8, :, 1, 1] = np.nan
    return found


def archive(folder: Path) -> dict[str, Values]:
    """Dry days of each run by plain counting, (years, lat, lon), NaN where missing."""
    runs = {"past": (PAST, 1, 0.0), "one": (FUTURE, 2, 0.1), "two": (FUTURE, 3, 0.05), "three": (FUTURE, 4, -0.05)}
    counted = {}
    for name, (years, seed, drier) in runs.items():
        values = rain(years, seed, drier)
        write(
            folder / f"{name}-all.nc",
            values.reshape(-1, *values.shape[2:]),
            name="pr",
            times=range(values.shape[0] * 365),
            units=f"days since {years[0]}-01-01",
            calendar="noleap",
            attrs={"units": "mm d-1", "standard_name": "precipitation_flux"},
        )
        dry = np.count_nonzero(values < 1, axis=1).astype(float)
        dry[np.isnan(values).any(axis=1)] = np.nan
        counted[name] = dry
    return counted


def built(folder: Path, models: str, more: str = "") -> Outcome:
    (folder / "cube.yaml").write_text(HEAD + CHANGE.format(models=models, more=more))
    spec = load_spec(folder / "cube.yaml", OPTIONS)
    return build(spec, spec.order(), Reporter(quiet=True))


def part(values: Values, years: range, window: tuple[int, int]) -> Values:
    return values[window[0] - years[0] : window[1] - years[0] + 1]


def test_change_differs_from_means_and_scipy(tmp_path: Path) -> None:
    dry = archive(tmp_path)
    assert not built(tmp_path, ONE).failed
    found = Cube(tmp_path / "cube")["change"].load()
    raw = found["dry_days_change"].attrs
    assert raw["units"] == "d"
    assert raw["models"].startswith("one climate model")
    assert "dry_days_agreement" not in found
    p = found["dry_days_p_value"].values[0]
    for number, window in enumerate(WINDOWS):
        after = part(dry["one"], FUTURE, window)
        for cell in np.ndindex(len(LATITUDES), len(LONGITUDES)):
            before, later = dry["past"][:, *cell], after[:, *cell]
            at = found.isel(model=0, window=number, lat=cell[0], lon=cell[1])
            if cell in ((0, 0), (1, 1)):
                assert np.isnan(at["dry_days_change"])
                assert np.isnan(at["dry_days_p_value"])
                assert np.isnan(at["dry_days_significant"])
                # Sea has no flag: nothing is wrong with it.
                assert int(at["dry_days_flag"]) == (1 if cell == (1, 1) else 0)
                continue
            assert int(at["dry_days_years"]) == 25
            np.testing.assert_allclose(at["dry_days_past"], before.mean(), rtol=1e-6)
            np.testing.assert_allclose(at["dry_days_change"], later.mean() - before.mean(), rtol=1e-5)
            plain = mannwhitneyu(before, later, method="asymptotic").pvalue
            assert float(at["dry_days_p_value"]) >= plain * (1 - 1e-5)
        known = np.isfinite(p[number])
        adjusted = np.full(known.shape, np.nan)
        adjusted[known] = false_discovery_control(p[number][known].astype(float), method="bh")
        significant = found["dry_days_significant"].values[0, number]
        np.testing.assert_array_equal(significant[known] == 1, adjusted[known] <= 0.1)
        assert 0 < np.nansum(significant) < known.sum()


def test_cells_of_a_block_of_their_own_have_another_p(tmp_path: Path) -> None:
    dry = archive(tmp_path)
    assert not built(tmp_path, ONE).failed
    found = Cube(tmp_path / "cube")["change"]["dry_days_p_value"].values[0]
    for number, window in enumerate(WINDOWS):
        flat = part(dry["one"], FUTURE, window).reshape(25, -1)
        for cell in range(flat.shape[1]):
            alone = mann_whitney(dry["past"].reshape(25, -1)[:, cell : cell + 1], flat[:, cell : cell + 1])
            np.testing.assert_allclose(found[number].ravel()[cell], alone[0], rtol=1e-6)


def test_agreement_of_fewer_than_three_models_is_told(tmp_path: Path) -> None:
    dry = archive(tmp_path)
    models = ", ".join(f"{{scenario: dry-{run}, past: dry-past}}" for run in ("one", "two", "three"))
    assert not built(tmp_path, models).failed
    found = Cube(tmp_path / "cube")["change"].load()
    past = dry["past"].mean(axis=0)
    change = np.stack(
        [[part(dry[run], FUTURE, window).mean(axis=0) - past for window in WINDOWS] for run in ("one", "two", "three")]
    )
    expected = (np.sign(change) == np.sign(change.mean(axis=0))).mean(axis=0)
    known = np.isfinite(change).all(axis=0)
    np.testing.assert_allclose(found["dry_days_agreement"].values[known], expected[known], rtol=1e-6)
    assert np.isnan(found["dry_days_agreement"].values[:, 0, 0]).all()


def test_change_below_the_emulators_error_is_trusted(tmp_path: Path) -> None:
    dry = archive(tmp_path)
    assert not built(tmp_path, ONE, "error: {simulated: dry-two, reference: dry-three}").failed
    found = Cube(tmp_path / "cube")["change"].load()
    error = np.sqrt(((dry["two"] - dry["three"]) ** 2).mean(axis=0))
    np.testing.assert_allclose(found["dry_days_error"].values[2], error[2], rtol=1e-5)
    small = np.abs(found["dry_days_change"].values[0]) < error
    np.testing.assert_array_equal(found["dry_days_flag"].values[0, :, 2] & 2 > 0, small[:, 2])
    assert small[:, 2].any()


BAD = {
    "window-outside": (ONE, "least: 5", "windows: [[2010, 2034], [2025, 2049]]", "windows: [[2010, 2060]]"),
    "variable-unknown": (ONE, "", "variables: [dry_days]", "variables: [onset]"),
    "metrics-differ": ("{scenario: dry-one, past: wetter}", "", "", ""),
    "not-yearly": ("{scenario: dry-one, past: rain-past}", "", "", ""),
}


@pytest.mark.parametrize("code", BAD)
def test_what_cannot_be_compared_is(tmp_path: Path, code: str) -> None:
    archive(tmp_path)
    models, more, old, new = BAD[code]
    other = "  wetter: {job: metric, collection: metrics, metric: dry_days, input: rain-past, threshold: 5 mm d-1}\n"
    text = HEAD + other + CHANGE.format(models=models, more=more)
    (tmp_path / "cube.yaml").write_text(text.replace(old, new) if old else text)
    spec = load_spec(tmp_path / "cube.yaml", OPTIONS)
    outcome = build(spec, spec.order(), Reporter(quiet=True))
    assert code in {problem.code for error in outcome.failed.values() for problem in error.problems}


def test_unchanged_build_makes_change_anew(tmp_path: Path) -> None:
    archive(tmp_path)
    assert not built(tmp_path, ONE).failed
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cube" / "metrics").rglob("*") if path.is_file()}
    assert not built(tmp_path, ONE).failed
    assert before == {
        path: path.stat().st_mtime_ns for path in (tmp_path / "cube" / "metrics").rglob("*") if path.is_file()
    }
