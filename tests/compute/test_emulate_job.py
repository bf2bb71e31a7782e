"""Emulated products against xgboost's own predictions, in segments and continued; the flag; models that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xgboost

from compute.emulator.features import NAMES
from cube.errors import IntegrityError
from tests.compute import chain
from tests.compute.test_sample_job import dates
from tests.compute.test_simulate_job import THICKNESS
from tests.compute.test_train_job import model_file, splits


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("run", [0, 1])
def test_maps_differ_from_predictions_of_xgboost(whole: Path, run: int) -> None:
    cube = chain.opened(whole)
    sample = cube["training"].load()
    made = cube[("emulated-historical", "emulated-future")[run]]
    own, days = dates(sample, run)
    rows = np.stack([sample[name].values[:, own] for name in NAMES], axis=-1)
    booster = xgboost.Booster(model_file=str(model_file(whole)))
    predicted = booster.inplace_predict(rows.reshape(-1, len(NAMES)), validate_features=False)
    expected = np.clip(predicted, 0, 1).reshape(*rows.shape[:2], 5)
    cells = sample["cell"].values
    beta = chain.flat(made["fsmc"].sel(time=days).isel(pft=0))[:, cells].T
    np.testing.assert_array_equal(beta, expected[..., 4])
    pores = cube["soil"]["sm_sat"].values.ravel()[cells]
    water = chain.flat(made["smcl"].sel(time=days))[:, :, cells]
    for layer, metres in enumerate(THICKNESS):
        np.testing.assert_allclose(water[:, layer].T, expected[..., layer] * 1000 * metres * pores[:, None], rtol=1e-6)


def test_flag_tells_nothing_of_a_warmer_climate(whole: Path) -> None:
    cube = chain.opened(whole)
    highest = float(cube["model"]["feature_high"][NAMES.index("tas")])
    found = np.nan_to_num(chain.flat(cube["emulated-future"]["out_of_domain"]), nan=-128).astype("i4")
    tas = chain.weather("future")[1].reshape(len(found), -1)
    sea = np.ravel_multi_index(chain.SEA, (5, 4))
    warmer = (tas.astype("f4") - np.float32(273.15)) > highest
    bit = (found & 1).astype(bool) & (found >= 0)
    # A value within a rounding of the limit may fall on either side.
    near = np.abs(tas - 273.15 - highest) < 1e-4
    assert warmer.any()
    low = float(cube["model"]["feature_low"][NAMES.index("pr")])
    assert low == 0
    wetter = chain.weather("future")[0].reshape(len(found), -1) > float(cube["model"]["feature_high"][0])
    colder = (tas - 273.15) < float(cube["model"]["feature_low"][NAMES.index("tas")])
    expected = warmer | wetter | colder
    at = ~near & (np.arange(found.shape[1]) != sea)
    np.testing.assert_array_equal(bit[at], expected[at])
    assert (found[:, sea] == -128).all()


ONCE = chain.EMULATION.split("\n  emulated-future:")[0]


def test_segments_or_continuing_show_in_the_numbers(whole: Path, folder: Path) -> None:
    """The same model over the whole period at once, with the state of the historical run from the first day on."""
    merged = (
        chain.CHAIN.split("\n  emulated-historical:")[0]
        + """
  weather: {job: ingest, collection: inputs, source: cf, files: [historical-*.nc, future-*.nc]}
  emulated:
    {job: emulate, collection: land, model: model, pr: weather, tas: weather, soil: soil, baseline: rain-mean}
"""
    )
    assert not chain.built(chain.archive(folder), merged).failed
    once, cube = chain.opened(folder)["emulated"], chain.opened(whole)
    for name in ("smcl", "fsmc", "out_of_domain"):
        parts = [cube[f"emulated-{run}"][name].values for run in ("historical", "future")]
        np.testing.assert_array_equal(np.concatenate(parts), once[name].values, err_msg=name)


def test_a_model_of_another_soil_is_used(whole: Path, folder: Path) -> None:
    """Only planned: nothing need be there for it."""
    from batch.plan import make_plan
    from cube.stores import open_store

    other = """
  other: {job: soil, collection: land, texture: texture, lai: texture, pedotransfer: cosby1984}
  wrong:
    job: emulate
    collection: land
    model: model
    pr: weather-future
    tas: weather-future
    soil: other
    baseline: rain-mean
  short:
    job: emulate
    collection: land
    model: model
    pr: weather-future
    tas: weather-future
    soil: soil
    baseline: rain-mean
    period: {start: 2008-06}
  other-way:
    job: emulate
    collection: land
    model: training
    pr: weather-future
    tas: weather-future
    soil: soil
    baseline: soil
    continues: column-historical
"""
    spec = chain.spec(chain.archive(folder), chain.CHAIN + other)
    plan = make_plan(spec, open_store(spec.store_location), spec.order())
    codes = {name: {problem.code for problem in error.problems} for name, error in plan.failed.items()}
    assert codes == {
        "wrong": {"emulator-pedotransfer"},
        "short": {"spin-up-too-long"},
        "other-way": {"not-a-model", "variable-unknown"},
    }


def test_a_changed_model_is_predicted_with(whole: Path, folder: Path) -> None:
    import shutil

    shutil.copytree(whole / "cube", folder / "cube")
    for file in whole.glob("*.nc"):
        shutil.copy2(file, folder)
    file = model_file(folder)
    file.write_bytes(file.read_bytes().replace(b"0", b"1", 1))
    # A second way to use it, so that something is to be computed.
    again = chain.CHAIN + ONCE.replace("emulated-historical", "again")
    error = chain.built(folder, again).failed["again"]
    assert isinstance(error, IntegrityError)
    assert error.problems[0].code == "object-changed"


def test_buckets_alone_are_those_of_the_forest(whole: Path, folder: Path) -> None:
    import shutil

    shutil.copytree(whole / "cube", folder / "cube")
    for file in whole.glob("*.nc"):
        shutil.copy2(file, folder)
    alone = ONCE.replace("emulated-historical", "buckets")
    products = chain.CHAIN + alone.replace("model: model", "model: model\n    predictor: buckets")
    assert not chain.built(folder, products).failed
    cube = chain.opened(folder)
    sample = cube["training"].load()
    model = cube["model"]
    held = splits(sample)
    chosen = np.outer(~held.sites, ~np.isin(sample["year"].values, [2005, 2008]))
    names = ("bucket_0.1m", "bucket_0.35m", "bucket_1m", "bucket_3m")
    fills = [sample[name].values for name in names]
    design = np.stack([np.ones(chosen.sum()), *(each[chosen] for each in fills)], axis=1)
    fitted, *_ = np.linalg.lstsq(design, sample["beta"].values[chosen].astype("f8"), rcond=None)
    own, days = dates(sample, 0)
    expected = fitted[0] + sum(weight * each[:, own] for weight, each in zip(fitted[1:], fills, strict=True))
    found = chain.flat(cube["buckets"]["fsmc"].sel(time=days).isel(pft=0))[:, sample["cell"].values].T
    np.testing.assert_allclose(found, np.clip(expected, 0, 1), atol=1e-5)
    assert model["rmse"].shape == (2, 4, 5)
