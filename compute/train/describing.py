"""A model in the words of STAC's machine learning model extension."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from compute.emulator.features import FEATURES
from compute.emulator.schema import TARGETS

ARTIFACT = "xgboost.Booster.save_raw"


def model_properties(sample: str, emulates: str, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Item properties of a trained forest. sample: the product that it was trained on."""
    seen = {"shape": [-1, len(FEATURES)], "dim_order": ["batch", "feature"], "data_type": "float32"}
    yielded = {"shape": [-1, len(TARGETS)], "dim_order": ["batch", "target"], "data_type": "float32"}
    return {
        "mlm:name": f"soil moisture emulator of {sample}",
        "mlm:architecture": "gradient boosted trees, multi-output",
        "mlm:tasks": ["regression"],
        "mlm:framework": "XGBoost",
        "mlm:framework_version": version("xgboost-cpu"),
        "mlm:pretrained": False,
        "mlm:pretrained_source": None,
        "mlm:hyperparameters": dict(hyperparameters),
        "mlm:input": [
            {
                "name": "features of a day and cell",
                "input": seen,
                "description": "; ".join(f"{each.name} [{each.units}]: {each.long_name}" for each in FEATURES),
            }
        ],
        "mlm:output": [
            {
                "name": "soil moisture of a day and cell",
                "tasks": ["regression"],
                "result": yielded,
                "description": "saturation of four soil layers from the top, and beta, each from 0 to 1",
            }
        ],
        "cic:emulates": emulates,
    }
