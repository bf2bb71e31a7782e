"""What must be said beside scores: what was compared with what, and what that can and cannot show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from compute.caveats import TEMPERATURE_ONLY, TEMPERATURE_PET
from compute.evaluation import structure
from compute.evaluation.baselines import CLIMATOLOGY, PERSISTENCE
from compute.evaluation.compared import Compared
from compute.evaluation.days import told
from compute.evaluation.maps import RANGE
from compute.evaluation.targets import Series, Target
from compute.simulate.job import MODEL
from compute.soil import SOIL_SET
from cube.provenance import Citation

MODELS = {MODEL: "the column"}
"""Short names of models."""


@dataclass(frozen=True)
class Product:
    """A product as the report tells it; version: the first figures of its fingerprint."""

    role: str
    name: str
    version: str
    days: str
    told: str


@dataclass(frozen=True)
class Told:
    """A target: what it is, what RMSE is relative to, and which days are events."""

    name: str
    long_name: str
    units: str
    scale: str
    event: str


@dataclass(frozen=True)
class Facts:
    """All texts of the report that are not the same in every one. They enter the key of its block.

    verdict     what the comparison is, one sentence
    caveats     what must be kept in mind
    compared    days and calendar
    predictors  name and what it is, in the order of the dimension
    citations   text and DOI
    """

    title: str
    verdict: str
    caveats: tuple[str, ...]
    products: tuple[Product, ...]
    compared: str
    targets: tuple[Told, ...]
    predictors: tuple[tuple[str, str], ...]
    citations: tuple[tuple[str, str | None], ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def facts(compared: Compared, citations: Sequence[Citation]) -> Facts:
    options, days = compared.options, compared.days
    first = compared.targets[0]
    simulated = [made_by(first.series[name]) for name in (options.simulation, *options.baselines)]
    baselines = tuple(zip(options.baselines, simulated[1:], strict=True))
    return Facts(
        title=f"{options.simulation} against {options.reference}",
        verdict=verdict(first, options.reference),
        caveats=tuple(_caveats(compared)),
        products=tuple(_products(compared)),
        compared=f"{told(days)}, {days.count} days, calendar {days.calendar}",
        targets=tuple(
            Told(each.name, each.long_name, each.units, _scale(compared, each), _event(compared, each))
            for each in compared.targets
        ),
        predictors=(
            ("simulation", simulated[0]),
            ("climatology", f"{CLIMATOLOGY}; made of {told(compared.known)}"),
            ("persistence", PERSISTENCE),
            *baselines,
        ),
        citations=tuple((each.text, each.doi) for each in citations),
    )


def comments(compared: Compared) -> dict[str, str]:
    """Comments of arrays that depend on what is compared, by name."""
    return {
        "nrmse": "; ".join(f"{each.name}: relative to {_scale(compared, each)}" for each in compared.targets),
        structure.THRESHOLD: "; ".join(f"{each.name}: {_event(compared, each)}" for each in compared.targets),
    }


def _scale(compared: Compared, target: Target) -> str:
    if compared.options.soil and not target.beta:
        return f"saturation (sm_sat of {compared.options.soil})"
    return f"the range of the reference from its {RANGE[0]:g}th to its {RANGE[1]:g}th percentile"


def _event(compared: Compared, target: Target) -> str:
    events = compared.options.events
    if target.beta:
        return f"days below {events.beta:g}"
    return f"days below the {events.percentile:g}th percentile of the reference over the evaluated days"


def made_by(series: Series) -> str:
    """What a product says it was made by, in a few words."""
    attrs = series.spec.attrs
    if "emulates" in attrs:
        only = ", its buckets alone," if attrs.get("predictor") == "buckets" else ""
        return f"emulator{only} of: {attrs['emulates']}"
    return str(attrs.get("model") or attrs.get("long_name") or series.variable)


def verdict(target: Target, reference: str) -> str:
    """What agreement with this reference shows, one sentence."""
    series = target.series[reference]
    attrs = series.spec.attrs
    if "emulates" in attrs:
        return f"This is a comparison with an emulator of: {attrs['emulates']}; it is not skill against reality."
    if model := attrs.get("model"):
        return f"This is verification against {MODELS.get(str(model), str(model))}, not skill against reality."
    if series.dim is not None:
        return f"This is verification against the land surface model of {reference}, not skill against reality."
    return f"This is a comparison with {series.variable} of {reference}, an estimate with errors of its own."


def _caveats(compared: Compared) -> Iterator[str]:
    options = compared.options
    simulated, reference = (
        compared.targets[0].series[name].spec.attrs for name in (options.simulation, options.reference)
    )
    stands, model = simulated.get("emulates"), reference.get("model") or reference.get("emulates")
    if stands and model and stands != model:
        yield f"The emulator stands for: {stands}; the reference is: {model}. What they differ by counts as error."
    if simulated.get("pet") in TEMPERATURE_PET:
        yield TEMPERATURE_ONLY
    yield from _apart(simulated, reference)
    for target in compared.targets:
        if target.series[options.reference].dim is None:
            yield (
                f"{target.name} is {target.long_name}: the two layers are not the same, so that mean and amplitude "
                "differ even where both are right."
            )
    if compared.short:
        yield "Fewer than two years are evaluated: correlations of anomalies are missing."
    if compared.known.count < 2 * compared.season_days:
        yield "The reference has fewer than two years for the climatology: it is missing where no other year is known."
    if options.trained_on:
        yield f"Cells of {options.trained_on} are left out, since a model was trained on them."


def _apart(simulated: Mapping[str, Any], reference: Mapping[str, Any]) -> Iterator[str]:
    """In what simulation and reference differ besides what made them."""
    for name in SOIL_SET:
        if name in simulated and name in reference and simulated[name] != reference[name]:
            yield f"Soils differ: {name} is {simulated[name]} in the simulation, {reference[name]} in the reference."
    begins = [str(each.get("day_begins", "00:00")) for each in (simulated, reference)]
    if begins[0] != begins[1]:
        yield f"Days begin at {begins[0]} UTC in the simulation and at {begins[1]} UTC in the reference."


def _products(compared: Compared) -> Iterator[Product]:
    options, inputs = compared.options, compared.inputs
    roles = [("simulation", options.simulation), ("reference", options.reference)]
    roles += [("baseline", name) for name in options.baselines]
    for role, name in roles:
        told_by = made_by(compared.targets[0].series[name])
        yield Product(role, name, inputs[name].fingerprint[:12], told(compared.axis(name)), told_by)
    for role, other in (("soil", options.soil), ("sites left out", options.trained_on)):
        if other:
            yield Product(role, other, inputs[other].fingerprint[:12], "", "")
