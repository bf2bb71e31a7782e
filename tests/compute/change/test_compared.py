"""Change of yearly metrics as it is published: numbers, maps, models, flags, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError
from scipy.stats import false_discovery_control

from compute.caveats import TEMPERATURE_ONLY
from compute.change.options import ChangeOptions
from compute.seasons.reasons import MEANINGS
from cube import layout
from cube.axes import EPOCH_YEAR, Step, ordinal_of, parse_date
from cube.catalogue import Cube
from cube.errors import InputError

from .toy import (
    CALENDAR,
    FILL,
    FUTURE,
    NO_FLAG,
    PAST,
    SEA,
    SHAPE,
    SHORT_PAST,
    SHORT_WINDOW,
    WINDOWS,
    YEAR_DAYS,
    Product,
    change,
    known,
    metric,
    plain_p,
    published,
)

NAMES = ("onset", "length")
TRENDS = {"a": 0.15, "b": 0.05, "c": -0.02}
OFTEN, SELDOM, GAPPY = (0, 1), (0, 2), (1, 2)
"""Cells outside the emulator's training on 11 % of the days, on 10 %, on 16 % of those with values."""
SPEC = """
  change:
    job: change
    collection: metrics
    models:
      - {scenario: a-future, past: a-past, domain: emulated}
      - {scenario: b-future, past: b-past}
      - {scenario: c-future, past: c-past}
    variables: [onset, length]
    windows: [[2021, 2050], [2070, 2099]]
    error: {simulated: simulated, reference: column}
  one:
    job: change
    collection: metrics
    models: [{scenario: a-future, past: a-past}]
    variables: [onset]
    windows: [[2021, 2050]]
"""


def emulated(first: int = WINDOWS[0][0], last: int = WINDOWS[-1][1], **more: Any) -> Product:
    days = (last - first + 1) * YEAR_DAYS
    flags = np.zeros((days, *SHAPE[1:]), np.int8)
    flags[:, *SEA] = NO_FLAG
    of_100 = np.arange(days) % 100
    flags[of_100 < 11, *OFTEN] = 2
    flags[of_100 < 10, *SELDOM] = 1
    flags[of_100 >= 50, *GAPPY] = NO_FLAG
    flags[of_100 < 8, *GAPPY] = 4
    start = ordinal_of(parse_date(str(first), CALENDAR), Step("day"), CALENDAR)
    return Product("emulated", {"out_of_domain": flags}, start, step=Step("day"), **more)


def inputs() -> dict[str, Product]:
    made = [emulated()]
    for seed, (name, trend) in enumerate(TRENDS.items()):
        made.append(metric(f"{name}-past", 10 + seed, PAST, names=NAMES))
        made.append(metric(f"{name}-future", 20 + seed, FUTURE, trend, names=NAMES))
    made.append(metric("simulated", 30, (1981, 2005), names=NAMES, emulates="a column"))
    made.append(metric("column", 31, (1976, 2000), names=NAMES, caveat="A caveat of the column."))
    return {each.name: each for each in made}


Chain = tuple[Path, dict[str, Product], xr.Dataset]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A change that is made in several blocks."""
    folder, products = tmp_path_factory.mktemp("change"), inputs()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "READ_BYTES", 8 * change_bytes(products))
        assert not published(folder, products, SPEC).failed
    return folder, products, Cube(folder / "cube")["change"].load()


def change_bytes(products: dict[str, Product]) -> int:
    """What is read for one cell."""
    models = [{"scenario": f"{name}-future", "past": f"{name}-past"} for name in TRENDS]
    models[0]["domain"] = "emulated"
    error = {"simulated": "simulated", "reference": "column"}
    return change(*products.values(), models=models, variables=list(NAMES), error=error).template().read_bytes


def test_numbers_differ_from_those_of_numpy_and_scipy(chain: Chain) -> None:
    _, products, found = chain
    significant = 0
    for model, name in enumerate(TRENDS):
        for variable in NAMES:
            past = known(products[f"{name}-past"], PAST, variable)
            of_model = found.isel(model=model)
            np.testing.assert_array_equal(of_model[f"{variable}_past_years"], np.isfinite(past).sum(axis=0))
            for number, window in enumerate(WINDOWS):
                future = known(products[f"{name}-future"], window, variable)
                at = of_model.isel(window=number)
                np.testing.assert_array_equal(at[f"{variable}_years"], np.isfinite(future).sum(axis=0))
                p = np.full(SHAPE, np.nan)
                for cell in np.ndindex(SHAPE):
                    one, other = (each[:, *cell][np.isfinite(each[:, *cell])] for each in (past, future))
                    if len(one) < 20 or len(other) < 20:
                        assert np.isnan(at[f"{variable}_change"].values[cell])
                        continue
                    p[cell] = plain_p(one, other)
                    np.testing.assert_allclose(at[f"{variable}_past"].values[cell], one.mean(), rtol=1e-6)
                    np.testing.assert_allclose(
                        at[f"{variable}_change"].values[cell], other.mean() - one.mean(), rtol=1e-5, atol=1e-5
                    )
                np.testing.assert_allclose(at[f"{variable}_p_value"].values, p, rtol=1e-5, atol=1e-12)
                for season, one_map in enumerate(p):
                    there = np.isfinite(one_map)
                    expected = np.full(one_map.shape, np.nan)
                    expected[there] = false_discovery_control(one_map[there], method="bh") <= 0.1
                    published_map = at[f"{variable}_significant"].values[season]
                    np.testing.assert_array_equal(published_map, expected)
                    significant += int(np.nansum(published_map))
    assert 0 < significant < found["onset_significant"].size
    assert found["onset_change"].dims == ("model", "window", "season", "lat", "lon")
    assert found["onset_change"].attrs["units"] == "d"


def test_windows_or_models_are_not_told(chain: Chain) -> None:
    found = chain[2]
    assert found["window"].attrs["flag_meanings"] == "2021_2050 2070_2099"
    assert list(found["window"].attrs["window_bounds"]) == [2021, 2050, 2070, 2099]
    assert found["model"].attrs["flag_meanings"] == "a-future b-future c-future"


def test_models_that_agree_are_miscounted(chain: Chain) -> None:
    _, products, found = chain
    there = np.isfinite(found["onset_change"].values).all(axis=0)
    change_of = np.zeros((3, *there.shape))
    for model, name in enumerate(TRENDS):
        for number, window in enumerate(WINDOWS):
            parts = known(products[f"{name}-future"], window), known(products[f"{name}-past"], PAST)
            after, before = (np.where(there[number], each, 0.0).mean(axis=0) for each in parts)
            change_of[model, number] = after - before
    expected = (np.sign(change_of) == np.sign(change_of.mean(axis=0))).mean(axis=0)
    np.testing.assert_allclose(found["onset_agreement"].values[there], expected[there], rtol=1e-6)
    assert len(np.unique(expected[there])) > 1
    assert np.isnan(found["onset_agreement"].values[~there]).all()
    number = found["onset_significant_models"].values
    np.testing.assert_array_equal(number[there], np.nansum(found["onset_significant"].values, axis=0)[there])
    assert np.isnan(number[~there]).all()
    assert number[there].max() >= 2


def test_flags_differ_from_what_speaks_against_a_change(chain: Chain) -> None:
    _, products, found = chain
    flag = found["onset_flag"].values.astype(int)
    few = np.zeros(SHAPE, bool)
    few[0, *SHORT_PAST] = True
    first_few = few.copy()
    first_few[:, *SHORT_WINDOW] = True
    for model in range(3):
        np.testing.assert_array_equal(flag[model, 0] & 1 > 0, first_few)
        np.testing.assert_array_equal(flag[model, 1] & 1 > 0, few)
    outside = np.zeros(SHAPE, bool)
    outside[:, *OFTEN] = outside[:, *GAPPY] = True
    np.testing.assert_array_equal(flag[0] & 4 > 0, np.stack([outside, outside]))
    assert not (flag[1:] & 4).any()
    common = (1981, 2000)
    difference = known(products["simulated"], common) - known(products["column"], common)
    error = np.sqrt(np.nansum(difference**2, axis=0) / np.maximum(1, np.isfinite(difference).sum(axis=0)))
    error[:, *SEA] = np.nan
    np.testing.assert_allclose(found["onset_error"].values, error, rtol=1e-6)
    with np.errstate(invalid="ignore"):
        small = np.abs(found["onset_change"].values) < error
    np.testing.assert_array_equal(flag & 2 > 0, small)
    assert 0 < small.sum() < small.size


def test_land_without_a_season_is_taken_for_sea(tmp_path: Path) -> None:
    """Of the metric's flag: arid land and a second season that is nowhere have a reason for no change, the sea none."""
    arid, ending = (0, 3), (2, 3)
    number = {name: at for at, name in enumerate(MEANINGS)}
    made = {}
    for name, seed, years in (("past", 1, PAST), ("future", 2, FUTURE)):
        onset = metric(name, seed, years).values["onset"]
        flag = np.where(onset == FILL, number["no_onset"], number["valid"]).astype(np.int8)
        for cell, season, reason in (
            (SEA, 0, "no_data"),
            (SEA, 1, "no_data"),
            (arid, 0, "arid"),
            (arid, 1, "arid"),
            (ending, 1, "no_season"),
        ):
            onset[:, season, *cell], flag[:, season, *cell] = FILL, number[reason]
        made[name] = Product(name, {"onset": onset, "season_flag": flag}, years[0] - EPOCH_YEAR)
    text = """
  change: {job: change, collection: metrics, models: [{scenario: future, past: past}], variables: [onset],
           windows: [[2021, 2050]]}
"""
    assert not published(tmp_path, made, text).failed
    found = Cube(tmp_path / "cube")["change"].load().isel(model=0, window=0)
    expected = np.zeros(SHAPE, int)
    expected[:, *arid] = 1
    expected[1, *ending] = 1
    expected[0, *SHORT_PAST] = 1
    expected[:, *SHORT_WINDOW] = 1
    np.testing.assert_array_equal(found["onset_flag"].values.astype(int), expected)
    assert np.isnan(found["onset_change"].values[:, *arid]).all()


def test_period_or_test_is_told_nowhere(chain: Chain) -> None:
    for name in ("onset_change", "onset_p_value", "onset_significant"):
        attrs = chain[2][name].attrs
        assert attrs["past_period"] == "1976 to 2005"
        for part in ("Mann-Whitney", "10 % of false discoveries", "at least 20 years"):
            assert part in attrs["test"], name


def test_cut_into_blocks_shows(chain: Chain, tmp_path: Path) -> None:
    folder, products, found = chain
    blocks = list((folder / "cube/metrics/change").rglob("time.zarr/onset_change/c/**/*"))
    assert sum(each.is_file() for each in blocks) > 1
    assert not published(tmp_path, products, SPEC).failed
    whole = Cube(tmp_path / "cube")["change"].load()
    for name in found.data_vars:
        np.testing.assert_array_equal(found[name].values, whole[name].values, err_msg=str(name))


def test_one_model_is_taken_for_several(chain: Chain) -> None:
    found = Cube(chain[0] / "cube")["one"].load()
    assert not [name for name in found.data_vars if "agreement" in str(name) or "models" in str(name)]
    assert found["onset_change"].attrs["models"].startswith("one climate model")
    products = chain[1]
    models = [{"scenario": f"{name}-future", "past": f"{name}-past"} for name in ("a", "b")]
    two = change(*products.values(), models=models)
    assert "onset_agreement" not in two.template().arrays
    assert "too few" in str(two.template().arrays["onset_change"].attrs["models"])


def test_caveats_of_inputs_are_lost(chain: Chain) -> None:
    assert chain[2]["onset_change"].attrs["caveat"] == "A caveat of the column."
    future = metric("future", 1, FUTURE, caveat=TEMPERATURE_ONLY)
    job = change(future, metric("past", 2, PAST))
    assert TEMPERATURE_ONLY in job.notes()["notes"]
    assert any("one climate model" in each for each in job.notes()["notes"])
    assert any("not a range of uncertainty" in each for each in job.notes()["notes"])
    assert job.template().arrays["onset_change"].attrs["caveat"] == TEMPERATURE_ONLY


def test_unchanged_build_writes_or_a_changed_cell_leaves_the_map(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    noise = [random.normal(150, 8, (years[1] - years[0] + 1, *SHAPE)) for years in (PAST, FUTURE)]
    corner = random.permutation(30)

    def given(later: float) -> dict[str, Product]:
        """Two rows of the map get later; the corner has a p that passes only where most others are small."""
        past, future = (np.round(each).astype(np.int16) for each in noise)
        past[:, 0, 0, 0] = corner
        future[15:45, 0, 0, 0] = corner + 5
        future[:, :, 1:] += np.int16(later)
        return {
            "past": Product("past", {"onset": past}, PAST[0] - EPOCH_YEAR),
            "future": Product("future", {"onset": future}, FUTURE[0] - EPOCH_YEAR),
        }

    text = """
  change: {job: change, collection: metrics, models: [{scenario: future, past: past}], variables: [onset],
           windows: [[2021, 2050]]}
"""

    def files() -> dict[Path, int]:
        found = (tmp_path / "cube/metrics").rglob("*")
        return {path: path.stat().st_mtime_ns for path in found if path.is_file()}

    with pytest.MonkeyPatch.context() as patch:
        products = given(0)
        patch.setattr(layout, "READ_BYTES", 4 * change(*reversed(products.values())).template().read_bytes)
        assert not published(tmp_path, products, text).failed
        before = files()
        first = Cube(tmp_path / "cube")["change"].load()
        assert not published(tmp_path, given(0), text).failed
        assert files() == before
        assert not published(tmp_path, given(30), text).failed
    second = Cube(tmp_path / "cube")["change"].load()
    np.testing.assert_array_equal(first["onset_p_value"][..., 0, :], second["onset_p_value"][..., 0, :])
    assert 0.01 < float(first["onset_p_value"][0, 0, 0, 0, 0]) < 0.06
    assert int(first["onset_significant"][0, 0, 0, 0, 0]) == 0
    assert int(second["onset_significant"][0, 0, 0, 0, 0]) == 1


def refused(code: str, *products: Product, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        change(*products, **options)
    assert code in [problem.code for problem in caught.value.problems]
    return str(caught.value)


@pytest.mark.parametrize(
    ("code", "attrs"),
    [
        ("metrics-differ", {"reference_product": "weather-of-another-model"}),
        ("metrics-differ", {"reference_period": "1991-01-01 to 2020-12-30"}),
        ("metrics-differ", {"thresholds": "others"}),
        ("metrics-differ", {"method": "another"}),
        ("metrics-differ", {"units": "1"}),
        ("metrics-differ", {"emulates": "a column"}),
        ("metrics-differ", {"pedotransfer": "another"}),
        ("metrics-differ", {"day_begins": "06:00 UTC"}),
        ("calendars-differ", {"calendar": "noleap"}),
        ("calendars-differ", {"step": Step("year", month=7)}),
        ("dimension-differs", {"seasons": (1, 3)}),
        ("cells-differ", {"lat": (20.0, 20.5, 21.0)}),
        ("change-no-number", {"units": "days since 1970-01-01", "calendar": CALENDAR}),
        ("change-no-number", {"units": "d", "comment": "days since 1970-01-01 in the calendar 360_day"}),
        ("change-no-number", {"flag_meanings": "one two"}),
    ],
)
def test_unlike_pair_is_compared(code: str, attrs: dict[str, Any]) -> None:
    text = refused(code, metric("future", 1, FUTURE), metric("before", 2, PAST, **attrs))
    assert "before" in text


def test_years_that_are_not_there_are_averaged() -> None:
    future, past = metric("future", 1, FUTURE), metric("past", 2, PAST)
    assert "2006 to 2099" in refused("window-outside", future, past, windows=[[2071, 2100]])
    assert "1976 to 2005" in refused("window-outside", future, past, past={"start": "1970", "end": "1999"})
    refused("variable-unknown", future, past, variables=["cessation"])
    refused("not-yearly", emulated(), past)


def test_domain_of_other_days_is_counted() -> None:
    future, past = metric("future", 1, FUTURE), metric("past", 2, PAST)
    models = [{"scenario": "future", "past": "past", "domain": "emulated"}]
    assert "do not hold" in refused("window-outside", future, past, emulated(last=2098), models=models)
    refused("calendars-differ", future, past, emulated(calendar="noleap"), models=models)
    other = Product("emulated", {"fsmc": np.zeros((5, *SHAPE[1:]), "f4")}, 0, step=Step("day"))
    refused("variable-unknown", future, past, other, models=models)


def test_days_of_the_domain_are_of_other_years() -> None:
    future = metric("future", 1, FUTURE, step=Step("year", month=7))
    past = metric("past", 2, PAST, step=Step("year", month=7))
    models = [{"scenario": "future", "past": "past", "domain": "emulated"}]
    domain = emulated(2021, 2100)
    job = change(future, past, domain, models=models)
    found = job.compared.domain_days("emulated", "future", 2021, 2050)
    axis = domain.template.time
    assert axis is not None
    assert (axis.text(found.start), axis.text(found.stop - 1)) == ("2021-07-01", "2051-06-30")


def test_error_of_another_metric_is_the_emulators() -> None:
    future, past = metric("future", 1, FUTURE), metric("past", 2, PAST)
    error = {"simulated": "simulated", "reference": "column"}
    simulated = metric("simulated", 3, PAST)
    refused("metrics-differ", future, past, simulated, metric("column", 4, PAST, thresholds="others"), error=error)
    refused("no-common-days", future, past, simulated, metric("column", 4, FUTURE), error=error)
    refused("calendars-differ", future, past, simulated, metric("column", 4, PAST, calendar="noleap"), error=error)

    def own(name: str, years: tuple[int, int], product: str) -> Product:
        period = "1976-01-01 to 2005-12-30"
        told = f"percentile 20 of {product} {period}, +-15 d pooled"
        return metric(name, 5, years, reference_product=product, reference_period=period, thresholds=told)

    # A percentile of a reference of its own is the same metric.
    pair = own("future", FUTURE, "emulated"), own("past", PAST, "emulated")
    assert change(*pair, own("simulated", PAST, "emulated"), own("column", PAST, "soil-column"), error=error)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"models": [{"scenario": "a", "past": "p"}, {"scenario": "b", "past": "p"}]}, "names one past twice"),
        ({"models": [{"scenario": "a", "past": "p"}, {"scenario": "a", "past": "q"}]}, "names one scenario twice"),
        ({"past": {"start": "1976-06", "end": "2005"}}, "whole year"),
        ({"past": {"start": "1976"}}, "whole year"),
        ({"past": {"start": "2005", "end": "1976"}}, "first, last"),
        ({"past": {"start": "1991", "end": "2005"}}, "15 years, fewer than"),
        ({"windows": [[2021, 2035]]}, "15 years, fewer than"),
        ({"windows": [[2050, 2021]]}, "first, last"),
        ({"windows": [[2021, 2050], [2021, 2050]]}, "twice"),
        ({"variables": ["onset", "onset"]}, "twice"),
        ({"rate": "10"}, "rate"),
        ({"rate": "120 %"}, "rate"),
    ],
)
def test_senseless_options_are_taken(options: dict[str, Any], text: str) -> None:
    given = {"models": [{"scenario": "a", "past": "p"}], "variables": ["onset"], **options}
    with pytest.raises(ValidationError, match=text):
        ChangeOptions.model_validate(given)
