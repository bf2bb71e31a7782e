"""Training, testing and publishing a forest: its file, its scores, and what it is good for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.emulator.baselines import fit_buckets, predict_buckets
from compute.emulator.driving import BASELINE_RULE, PET_FORMULA
from compute.emulator.features import FEATURES, NAMES, YEAR_LENGTHS
from compute.emulator.forest import MEDIA_TYPE, Training, load, save, train
from compute.emulator.schema import TARGETS, Schema, Setting, columns_of
from compute.train.describing import ARTIFACT, model_properties
from compute.train.options import TrainOptions
from compute.train.scoring import PREDICTORS, SCORES, references, scores
from compute.train.splits import Splits
from cube.blockjob import BlockJob
from cube.errors import InputError, Problem
from cube.job import JobContext, ProductView, Window
from cube.layout import Group
from cube.template import ArraySpec, FileSpec, Template

if TYPE_CHECKING:
    import xgboost

MODEL = "model.json"
TESTS = ("unseen", "scenario")
Values = NDArray[np.float32]


class TrainJob(BlockJob):
    """One block: all sites and days together."""

    name: ClassVar[str] = "train"
    revision: ClassVar[int] = 1
    Options: ClassVar[type[TrainOptions]] = TrainOptions
    options: TrainOptions
    memory_factor: ClassVar[float] = 5.0

    @classmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        """Raises InputError where the input is no sample, or what is held out is not in it."""
        job = cls(options, context.inputs)
        problems = []
        absent = [name for name in (*NAMES, *TARGETS) if name not in job.sample.template.arrays]
        if absent:
            what = f"has no {', '.join(absent[:3])}"
            raise InputError(
                Problem("variable-unknown", what, job.sample.name, fix="name a product of the job `sample`")
            )
        unknown = [name for name in options.test_runs if name not in job.run_names]
        if unknown:
            fix = f"the sample has {', '.join(job.run_names)}"
            problems.append(Problem("run-unknown", f"there is no run {', '.join(unknown)}", job.sample.name, fix=fix))
        elif not job.seen_days.any():
            what = "no day is left to train on"
            problems.append(Problem("nothing-to-train-on", what, job.sample.name, fix="hold out fewer years or runs"))
        elif not (job.held & ~job.held_runs).any():
            what = "no day of a run that is trained on lies in `test_years`"
            problems.append(
                Problem(
                    "nothing-to-test-on",
                    what,
                    job.sample.name,
                    fix=f"its years are {job.year.min()} to {job.year.max()}",
                )
            )
        if problems:
            raise InputError(problems)
        return job

    @property
    def sample(self) -> ProductView:
        return self.inputs[self.options.sample]

    def _coord(self, name: str) -> NDArray[Any]:
        return np.asarray(self.sample.template.coords[name].values)

    @property
    def year(self) -> NDArray[Any]:
        return self._coord("year")

    @property
    def run_names(self) -> list[str]:
        return str(self.sample.template.coords["run"].attrs["flag_meanings"]).split()

    @property
    def held_runs(self) -> NDArray[np.bool_]:
        numbers = [self.run_names.index(name) for name in self.options.test_runs]
        return np.isin(self._coord("run"), numbers)

    @property
    def held(self) -> NDArray[np.bool_]:
        year = self.year
        parts = [(year >= first) & (year <= last) for first, last in self.options.test_years]
        return np.asarray(np.any(parts, axis=0))

    @property
    def seen_days(self) -> NDArray[np.bool_]:
        return np.asarray(~(self.held | self.held_runs))

    @property
    def made_by(self) -> dict[str, str]:
        """What the sample says of itself, for those who use the model."""
        attrs = self.sample.template.arrays["beta"].attrs
        wanted = ("emulates", "pedotransfer", "statics", "calendars", "baselines", "pft")
        return {name: str(attrs[name]) for name in wanted}

    @property
    def training(self) -> Training:
        given = self.options.forest
        return Training(
            trees=given.trees,
            depth=given.depth,
            learning_rate=given.learning_rate,
            subsample=given.subsample,
            colsample=given.colsample,
            seed=given.seed,
        )

    def template(self) -> Template:
        arrays = {}
        shape = (len(TESTS), len(PREDICTORS), len(TARGETS))
        for name, long_name in SCORES.items():
            attrs = {"long_name": long_name, "units": "1", **(self.made_by if name == "rmse" else {})}
            arrays[name] = ArraySpec(("test", "predictor", "target"), shape, np.dtype("float64"), attrs)
        for name, long_name in (("low", "least"), ("high", "largest")):
            attrs = {"long_name": f"{long_name} value in the training data", "units": "as the feature"}
            arrays[f"feature_{name}"] = ArraySpec(("feature",), (len(FEATURES),), np.dtype("float32"), attrs)
        for name, long_name in (
            ("training_rows", "rows that were trained on"),
            ("sites_missing", "sites without values"),
        ):
            arrays[name] = ArraySpec((), (), np.dtype("int64"), {"long_name": long_name, "units": "1"})
        names = {"test": TESTS, "predictor": PREDICTORS, "target": TARGETS, "feature": NAMES}
        coords = {
            dim: xr.Variable(
                (dim,),
                np.arange(len(each), dtype=np.int32),
                {"long_name": dim, "flag_values": [*range(len(each))], "flag_meanings": " ".join(each)},
            )
            for dim, each in names.items()
        }
        title = "The forest, as JSON of xgboost with its schema inside"
        model = FileSpec("rmse", MEDIA_TYPE, title, ("mlm:model",), {"mlm:artifact_type": ARTIFACT})
        return Template(
            arrays=arrays,
            coords=xr.Dataset(coords=coords),
            time=None,
            space=(),
            groups=(tuple(arrays),),
            bbox=self.sample.template.bbox,
            files={MODEL: model},
        )

    def key_options(self) -> Mapping[str, Any]:
        options = self.options
        return {
            "test": [options.test_sites, options.test_years, options.test_runs, options.seed],
            "forest": options.forest.model_dump(),
            "made_by": self.made_by,
        }

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        return {self.options.sample: Window(("stratum", *NAMES, *TARGETS), {})}

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        given = data[self.options.sample]
        features = np.stack([given[name].values for name in NAMES])
        targets = np.stack([given[name].values for name in TARGETS])
        splits = Splits.of(
            given["stratum"].values,
            self._coord("run"),
            self.year,
            self.options.test_sites,
            self.options.test_years,
            [self.run_names.index(name) for name in self.options.test_runs],
            self.options.seed,
        )
        known = np.isfinite(features).all(axis=0) & np.isfinite(targets).all(axis=0)
        sites, days = splits.training
        chosen = known & np.outer(sites, days)
        rows = np.ascontiguousarray(features[:, chosen].T)
        wanted = np.ascontiguousarray(targets[:, chosen].T)
        booster = train(rows, wanted, self.training)
        coefficients = fit_buckets(rows, wanted)
        low, high = rows.min(axis=0), rows.max(axis=0)
        found = self._scores(features, targets, known, splits, booster, coefficients)
        told: dict[str, Any] = {
            test: {name: _plain(found[name][at, 0]) for name in SCORES} for at, test in enumerate(TESTS)
        }
        missing = int(np.count_nonzero(~known.any(axis=1)))
        schema = Schema(
            columns=columns_of(low, high),
            setting=self.setting,
            emulates=self.made_by["emulates"],
            buckets=tuple(tuple(map(float, row)) for row in coefficients),
            scores=told,
            training={
                "sample": self.sample.name,
                "fingerprint": self.sample.fingerprint,
                "runs": self.run_names,
                "baselines": self.made_by["baselines"],
                "pft": int(self.made_by["pft"]),
                "sites": int(np.count_nonzero(sites)) - missing,
                "rows": len(rows),
                **self.options.model_dump(mode="json", exclude={"sample"}),
            },
        )
        model = save(booster, schema)
        made: dict[str, Any] = {name: (("test", "predictor", "target"), values) for name, values in found.items()}
        made |= {"feature_low": (("feature",), low), "feature_high": (("feature",), high)}
        made |= {"training_rows": ((), np.int64(len(rows))), "sites_missing": ((), np.int64(missing))}
        return xr.Dataset(made, attrs={MODEL: model})

    @property
    def setting(self) -> Setting:
        made = self.made_by
        calendars = tuple(made["calendars"].split())
        return Setting(calendars, PET_FORMULA, made["pedotransfer"], made["statics"], BASELINE_RULE)

    def _scores(
        self,
        features: Values,
        targets: Values,
        known: NDArray[np.bool_],
        splits: Splits,
        booster: xgboost.Booster,
        coefficients: NDArray[np.float64],
    ) -> dict[str, NDArray[np.float64]]:
        """Shape (tests, predictors, targets) each; NaN for a test that nothing was held out for."""
        forest = load(save(booster, Schema(columns_of(*_range(features, known)), self.setting, ""))).forest
        sites = np.flatnonzero(splits.sites)
        ours = np.where(known[sites], targets[:, sites], np.nan)
        seen = np.ascontiguousarray(features[:, sites].transpose(1, 0, 2))
        predicted = {
            "forest": forest.predict(seen).transpose(1, 0, 2),
            "buckets": predict_buckets(coefficients, seen).transpose(1, 0, 2),
            **references(ours, self._coord("day_of_year"), self._coord("run"), self.seen_days, self._lag),
        }
        found = {name: np.full((len(TESTS), len(PREDICTORS), len(TARGETS)), np.nan) for name in SCORES}
        for test, (_, days) in splits.tests.items():
            for predictor, values in predicted.items():
                if days.any():
                    for name, each in scores(values[:, :, days], ours[:, :, days]).items():
                        found[name][TESTS.index(test), PREDICTORS.index(predictor)] = each
        return found

    @property
    def _lag(self) -> int:
        """Samples in a year."""
        of_year = self._coord("day_of_year")
        steps = np.diff(of_year)
        return round(YEAR_LENGTHS[self.made_by["calendars"].split()[0]] / float(np.median(steps)))

    def notes(self) -> Mapping[str, Any]:
        told = f"Stands for: {self.made_by['emulates']}. Trained on {', '.join(self.run_names)}."
        unlike = "Trees do not extrapolate: see the flag that is published with what it predicts."
        properties = model_properties(self.sample.name, self.made_by["emulates"], self.options.forest.model_dump())
        return {"notes": [told, unlike], "properties": properties}


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [round(float(each), 6) if np.isfinite(each) else None for each in values]


def _range(features: Values, known: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any]]:
    rows = features[:, known]
    return rows.min(axis=1), rows.max(axis=1)
