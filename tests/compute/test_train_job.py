"""The published model: held-out sites and years, scores against xgboost's own predictions, STAC, tampering."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from compute.emulator.features import NAMES
from compute.train.splits import Splits
from stac.validation import validate
from tests.compute import chain

TARGETS = ("sat_1", "sat_2", "sat_3", "sat_4", "beta")


def model_file(folder: Path) -> Path:
    item = json.loads((folder / "cube/models/model/model.json").read_text())
    return folder / "cube/models/model" / item["assets"]["model"]["href"]


def splits(sample: Any) -> Splits:
    return Splits.of(
        sample["stratum"].values,
        sample["run"].values,
        sample["year"].values,
        0.2,
        [(2005, 2005), (2008, 2008)],
        [],
        0,
    )


def test_scores_are_not_those_of_unseen_sites_in_unseen_years(whole: Path) -> None:
    cube = chain.opened(whole)
    sample, model = cube["training"].load(), cube["model"]
    held = splits(sample)
    assert held.sites.sum() == 3
    years = np.isin(sample["year"].values, [2005, 2008])
    booster = xgboost.Booster(model_file=str(model_file(whole)))
    rows = np.stack([sample[name].values[held.sites][:, years] for name in NAMES], axis=-1)
    expected = np.stack([sample[name].values[held.sites][:, years] for name in TARGETS], axis=-1)
    predicted = booster.inplace_predict(rows.reshape(-1, len(NAMES)), validate_features=False).reshape(expected.shape)
    error = np.clip(predicted, 0, 1).astype("f8") - expected
    np.testing.assert_allclose(model["rmse"][0, 0], np.sqrt((error**2).mean(axis=(0, 1))), rtol=1e-6)
    np.testing.assert_allclose(model["bias"][0, 0], error.mean(axis=(0, 1)), atol=1e-8)
    r = [
        np.median([np.corrcoef(predicted[i, :, t], expected[i, :, t])[0, 1] for i in range(3)])
        for t in range(len(TARGETS))
    ]
    np.testing.assert_allclose(model["median_r"][0, 0], r, rtol=1e-5)
    dry, told = expected[..., -1] < 0.5, predicted[..., -1] < 0.5
    csi = (dry & told).sum() / (dry | told).sum()
    np.testing.assert_allclose(model["csi"][0, 0, -1], csi)
    # A year of twenty trees tells more than the mean of the season.
    assert (model["rmse"][0, 0, :2] < model["rmse"][0, 2, :2]).all()


def test_held_out_rows_are_trained_on(whole: Path) -> None:
    cube = chain.opened(whole)
    sample, held = cube["training"], splits(cube["training"])
    years = np.isin(sample["year"].values, [2005, 2008])
    assert int(cube["model"]["training_rows"]) == 13 * np.count_nonzero(~years)
    seen = np.outer(~held.sites, ~years)
    for name in ("bucket_1m", "pr_annual", "tas"):
        values = sample[name].values[seen]
        column = NAMES.index(name)
        assert float(cube["model"]["feature_low"][column]) == values.min()
        assert float(cube["model"]["feature_high"][column]) == values.max()


def test_a_climate_is_never_tested() -> None:
    stratum = np.repeat(np.arange(50), 20)
    held = Splits.of(stratum, np.zeros(3), np.zeros(3), 0.2, [(1, 1)], [], 5)
    assert held.sites.sum() == 200
    counts = np.bincount(stratum[held.sites], minlength=50)
    assert counts.min() >= 3
    assert counts.max() <= 5


def test_the_item_does_not_follow_the_extension_for_models(whole: Path, shared: Path) -> None:
    item = json.loads((whole / "cube/models/model/model.json").read_text())
    assert "https://stac-extensions.github.io/mlm/v1.5.2/schema.json" in item["stac_extensions"]
    problems = [each for each in validate(item, shared / "stac-schemas") if "not at hand" not in str(each)]
    assert problems == []
    assert item["assets"]["model"]["roles"] == ["mlm:model"]
    assert item["properties"]["cic:emulates"].endswith("(not JULES)")


def test_the_file_lacks_what_the_model_stands_for(whole: Path) -> None:
    schema = json.loads(json.loads(model_file(whole).read_text())["learner"]["attributes"]["schema"])
    assert schema["emulates"].startswith("four-layer soil-water column")
    assert schema["setting"]["pedotransfer"] == "cosby_jules"
    assert schema["setting"]["calendars"] == ["standard"]
    assert schema["training"]["runs"] == ["column-historical", "column-future"]
    assert [each["name"] for each in schema["columns"]] == list(NAMES)
    assert set(schema["scores"]) == {"unseen", "scenario"}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ("test_years: [[1900, 1901]]", "nothing-to-test-on"),
        ("test_years: [[2000, 2010]]", "nothing-to-train-on"),
        ("test_years: [[2005, 2005]], test_runs: [column-rcp85]", "run-unknown"),
    ],
)
def test_holdouts_that_hold_nothing(whole: Path, tmp_path: Path, options: str, code: str) -> None:
    """Planned only: what is asked of the sample is known before it is made."""
    from batch.plan import make_plan
    from cube.stores import open_store

    products = (
        chain.CHAIN.split("\n  model:")[0]
        + f"\n  model: {{job: train, collection: models, sample: training, {options}}}\n"
    )
    text = (whole / "cube.yaml").read_text()
    try:
        spec = chain.spec(whole, products)
        plan = make_plan(spec, open_store(spec.store_location), spec.order())
    finally:
        (whole / "cube.yaml").write_text(text)
    assert [problem.code for problem in plan.failed["model"].problems] == [code]
