"""Trained models: their files, and the compiled predictor against xgboost's own to the last bit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.emulator.features import NAMES
from compute.emulator.forest import Training, load, save, train
from compute.emulator.predictor import Forest
from cube.errors import ComputeError, InputError

from .conftest import rows_of, schema_of


def forest_of(booster):
    return Forest.of(json.loads(booster.save_raw(raw_format="json")))


@pytest.fixture(scope="module")
def forest(booster):
    return forest_of(booster)


def expected(booster, features):
    """xgboost's predictions of (cells, 29, days), shape (cells, 5, days)."""
    cells, columns, days = features.shape
    rows = np.ascontiguousarray(features.transpose(0, 2, 1)).reshape(-1, columns)
    found = booster.predict(xgboost.DMatrix(rows, feature_names=list(NAMES)))
    return np.clip(found, 0, 1).reshape(cells, days, 5).transpose(0, 2, 1)


def series(cells, days, seed=0):
    """Days of cells whose statics do not change."""
    random = np.random.default_rng(seed)
    features = rows_of(cells * days, seed)[0].reshape(cells, days, 29).transpose(0, 2, 1).copy()
    fixed = random.choice(29, 12, replace=False)
    features[:, fixed] = features[:, fixed, :1]
    return features


@settings(max_examples=40)
@given(st.integers(1, 4), st.integers(1, 100), st.integers(0, 1000))
def test_compiled_predictor_differs_from_xgboost(booster, forest, cells, days, seed):
    features = series(cells, days, seed)
    np.testing.assert_array_equal(forest.predict(features), expected(booster, features))


def test_value_at_a_threshold_goes_the_other_way(booster, forest):
    random = np.random.default_rng(0)
    features = np.zeros((3, 29, 700), "float32")
    for column in range(29):
        cuts = forest.nodes["threshold"][forest.nodes["feature"] == column]
        around = np.concatenate(
            [cuts, np.nextafter(cuts, np.float32(-np.inf)), np.nextafter(cuts, np.float32(np.inf)), [0, -0.0]]
        )
        features[:, column] = random.choice(around, (3, 700))
    np.testing.assert_array_equal(forest.predict(features), expected(booster, features))


def test_missing_or_infinite_feature_gives_a_number(forest):
    features = series(4, 50)
    whole = forest.predict(features)
    features[1, 7, 3], features[2, 20, :], features[3, 0, 49] = np.nan, np.nan, np.inf
    found = forest.predict(features)
    lacking = np.zeros((4, 50), bool)
    lacking[1, 3] = lacking[2] = lacking[3, 49] = True
    assert np.isnan(found[np.broadcast_to(lacking[:, None], found.shape)]).all()
    known = np.broadcast_to(~lacking[:, None], found.shape)
    np.testing.assert_array_equal(found[known], whole[known])


def test_tree_without_a_split_fails():
    features, targets = rows_of(200)
    stumps = train(features, targets, Training(trees=3, least_rows=10_000))
    cells = series(2, 20)
    np.testing.assert_array_equal(forest_of(stumps).predict(cells), expected(stumps, cells))
    mixed = train(features, targets, Training(trees=40, depth=2, least_rows=80, subsample=0.6))
    np.testing.assert_array_equal(forest_of(mixed).predict(cells), expected(mixed, cells))


def test_prediction_is_not_clipped():
    features, targets = rows_of(400)
    steep = train(features, (targets > 0.5).astype("float32"), Training(trees=30, depth=4, learning_rate=1.0))
    cells = series(5, 200)
    raw = steep.inplace_predict(cells.transpose(0, 2, 1).reshape(-1, 29), validate_features=False)
    assert raw.min() < 0
    assert raw.max() > 1
    found = forest_of(steep).predict(cells)
    assert found.min() == 0
    assert found.max() == 1


def test_number_of_threads_or_a_second_run_changes_the_model():
    features, targets = rows_of(2000)
    schema, how = schema_of(features), {"trees": 4, "depth": 6}
    files = {save(train(features, targets, Training(**how, threads=threads)), schema) for threads in (1, 1, 2)}
    assert len(files) == 1
    other = save(train(features, targets, Training(**how, seed=1)), schema)
    assert other not in files


def test_model_is_another_after_saving(booster):
    features, _ = rows_of(3000)
    schema = schema_of(features, scores={"rmse": [0.1, 0.2]}, training={"rows": 3000}, buckets=((0.0,) * 5,) * 5)
    data = save(booster, schema)
    assert booster.attr("schema") is None
    emulator = load(data)
    assert emulator.schema == schema
    cells = series(3, 40)
    np.testing.assert_array_equal(emulator.forest.predict(cells), expected(booster, cells))
    again = xgboost.Booster()
    again.load_model(bytearray(data))
    assert json.loads(again.attr("schema"))["emulates"] == "column"
    np.testing.assert_array_equal(expected(again, cells), expected(booster, cells))


def plain(multi):
    features, targets = rows_of(300)
    how = {"multi_strategy": "multi_output_tree"} if multi else {}
    booster = xgboost.train({"max_depth": 3, **how}, xgboost.DMatrix(features, targets), 2)
    booster.set_attr(schema=schema_of(features).to_json())
    return bytes(booster.save_raw("json"))


def edited(path, value):
    """A change of one entry of the model's document."""

    def change(data):
        document = json.loads(data)
        place = document["learner"]
        *front, last = path
        for key in front:
            place = place[key]
        place[last] = value
        return json.dumps(document).encode()

    return change


TREE = ("gradient_booster", "model", "trees", 0)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda _: b"", "not a model"),
        (lambda data: data[: len(data) // 2], "not a model"),
        (lambda _: b"\x80\x04\x95 a pickle", "not a model"),
        (lambda _: b"[1, 2]", "not a model"),
        (lambda _: b'{"learner": {}}', "no 'attributes'"),
        (lambda _: plain(False), "5 outputs"),
        (edited(["attributes"], {}), "no 'schema'"),
        (edited(["attributes", "schema"], '{"format": 7}'), "format"),
        (edited(["attributes", "schema"], '{"format": 1, "columns": [{"name": "pr"}]}'), "Column"),
        (edited(["attributes", "schema"], schema_of(rows_of(9)[0], columns=()).to_json()), "setting|0 features"),
        (edited(["objective", "name"], "reg:logistic"), "regression"),
        (edited(["gradient_booster", "name"], "dart"), "regression"),
        (edited([*TREE, "left_children", 0], 0), "refers to nodes"),
        (edited([*TREE, "left_children", 0], 10_000), "refers to nodes"),
        (edited([*TREE, "right_children", -1], 10_000), "refers to nodes"),
        (edited([*TREE, "split_indices", 0], 29), "refers to nodes"),
        (edited([*TREE, "split_conditions"], [0.0]), "not a model"),
        (edited([*TREE, "leaf_weights"], [0.0]), "not a model"),
        (edited([*TREE, "split_type", 0], 1), "thresholds"),
        (edited(TREE[:-1], []), "no trees"),
    ],
)
def test_file_that_is_no_emulator_is_used(booster, spoil, said):
    data = save(booster, schema_of(rows_of(3000)[0]))
    with pytest.raises(InputError, match=said) as caught:
        load(spoil(data), "model.json")
    assert [problem.code for problem in caught.value.problems] == ["emulator-unreadable"]


def test_model_that_the_compiled_predictor_reads_otherwise_is_saved(booster, monkeypatch):
    right = Forest.of

    def swapped(document):
        forest = right(document)
        forest.nodes["left"], forest.nodes["right"] = forest.nodes["right"].copy(), forest.nodes["left"].copy()
        return forest

    monkeypatch.setattr(Forest, "of", staticmethod(swapped))
    with pytest.raises(ComputeError, match="emulator-predictor"):
        save(booster, schema_of(rows_of(3000)[0]))


def test_training_on_missing_or_impossible_rows():
    features, targets = rows_of(50)
    features[3, 4], targets[5, 2], targets[7, 0], targets[8, 4] = np.nan, np.nan, 1.25, -0.5
    with pytest.raises(InputError) as caught:
        train(features, targets, Training())
    missing, outside = caught.value.problems
    assert (missing.code, outside.code) == ("training-missing", "training-range")
    assert "2 of 50" in missing.what
    assert "sat_1, beta: from -0.5 to 1.25" in outside.what
    with pytest.raises(InputError, match="training-missing"):
        train(features[:0], targets[:0], Training())
    with pytest.raises(ValueError, match="do not fit"):
        train(features[:, :28], targets, Training())
