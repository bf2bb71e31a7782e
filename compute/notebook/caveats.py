"""What must be said below a picture: which product, whose data, against what, and what it cannot show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compute.caveats import TEMPERATURE_ONLY
from compute.change.structure import SCENARIOS
from compute.notebook.lineage import notes
from compute.notebook.opened import CHANGE, Opened
from cube.catalogue import Cube

LONGEST = 300
"""Characters of a product's own notes; what is beyond is in `explain`."""


def footnote(cube: Cube, shown: Sequence[tuple[Opened, str]], more: Sequence[str] = ()) -> tuple[str, ...]:
    """Lines of text, the longest first to be cut where they are drawn.

    shown  products and the variable of each that is drawn
    more   what the picture itself must say
    """
    lines = []
    for opened, variable in shown:
        attrs = opened.attrs(variable)
        told = [f"{opened.name}, version {opened.version}", *against(opened, variable), f"licence: {opened.licence}"]
        lines.append("; ".join(told))
        # A threshold that is in no title, and whether a change may be chance.
        made = ("thresholds", "test") if variable.endswith(CHANGE) else ()
        lines += [f"{name.capitalize()}: {attrs[name]}." for name in made if name in attrs]
    cautions = [each for opened, variable in shown for each in _cautions(cube, opened, variable)]
    return tuple(dict.fromkeys([*lines, *more, *cautions]))


def against(opened: Opened, variable: str) -> Iterator[str]:
    """The reference of a variable, as its attributes tell it."""
    attrs = opened.attrs(variable)
    if "reference_product" in attrs:
        period = f" {attrs['reference_period']}" if "reference_period" in attrs else ""
        yield f"reference: {attrs['reference_product']}{period}"
    if "reference" in attrs:
        yield str(attrs["reference"])


def _cautions(cube: Cube, opened: Opened, variable: str) -> Iterator[str]:
    attrs = opened.attrs(variable)
    told = notes(cube, opened.item)
    own = told.pop(opened.name, [])
    length = 0
    # The reference has been told with the version.
    for note in (each for each in own if not each.startswith("Reference: ")):
        length += len(note)
        if length > LONGEST and note != TEMPERATURE_ONLY:
            yield "More notes: see `explain`."
            break
        yield note
    if any(TEMPERATURE_ONLY in each for each in told.values()):
        yield TEMPERATURE_ONLY
    if "self" in str(attrs.get("reference", "")) and "timing only" not in str(attrs["reference"]):
        yield "The reference is the product itself: timing only."
    models = opened.data.sizes.get("model", 0)
    if models and models < 3 and SCENARIOS not in own:
        count = "One climate model" if models == 1 else "Two climate models"
        yield f"{count}: scenarios are not an uncertainty range."
