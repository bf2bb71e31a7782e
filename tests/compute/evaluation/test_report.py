"""What maps say over cells, and the page that tells it: complete, closed, without an outside, the same every time."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from compute.evaluation.drawing import INFERNO, VIRIDIS, Scale, round_up
from compute.evaluation.report import Maps, report
from compute.evaluation.scores import SCORES
from compute.evaluation.summary import DRAWN, summary
from compute.simulate.job import TEMPERATURE_ONLY

from .products import CELLS, COLUMN, EMULATOR, Product, days, evaluate

VOID = {"meta", "img", "br"}
SENTENCE = "verification against the column, not skill against reality"
AXIS = days("2001-01-01", 800)


class Page(HTMLParser):
    """Fails on a tag that is not closed, and keeps texts, images and addresses."""

    def __init__(self, data):
        super().__init__()
        self.open, self.texts, self.images, self.addresses = [], [], [], []
        self.feed(data.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data")]
        assert tag not in ("script", "link", "iframe", "object")
        if tag == "img":
            assert given["alt"]
            self.images.append(given)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def products(reference=COLUMN, simulation=EMULATOR, name="emulated"):
    values = dict.fromkeys(("smcl", "fsmc"))
    for key, count in (("smcl", 4), ("fsmc", 1)):
        values[key] = np.zeros((AXIS.count, count, *CELLS), "f4")
    return Product(name, values, AXIS, attrs=simulation), Product("truth", values, AXIS, attrs=reference)


def numbers(job, seed=1, missing=0.2):
    """Maps of every score, not computed from anything."""
    rng = np.random.default_rng(seed)
    shape = (len(job.compared.predictors), len(job.compared.targets), *CELLS)
    found = {score: rng.uniform(0.01, 0.9, shape).astype("f4") for score in SCORES}
    found["paired_days"] = rng.integers(1, 900, shape).astype("i4")
    found["paired_days"][..., 0, 0] = 0
    for values in found.values():
        if values.dtype.kind == "f":
            values[rng.random(shape) < missing] = np.nan
            values[..., 0, 0] = np.nan
    return found


def page(job, found):
    return report(job.facts, summary(found.items()), Maps({k: found[k] for k in DRAWN}, job.simulation.template))


def test_medians_quartiles_or_counts_are_of_other_cells():
    job = evaluate(*products())
    found = numbers(job)
    found["r"][1, 2] = np.nan
    made = summary(found.items())
    for name, values in found.items():
        seen = found["paired_days"] > 0
        for row, place in ((0, 0), (1, 3), (2, 4)):
            known = values[row, place][seen[row, place] & np.isfinite(values[row, place])]
            assert int(made[f"{name}_cells"][row, place]) == len(known)
            np.testing.assert_allclose(
                made[f"{name}_quantiles"][:, row, place], np.percentile(known, [25, 50, 75]), rtol=1e-6
            )
    assert np.isnan(made["r_quantiles"].values[:, 1, 2]).all()
    assert int(made["r_cells"][1, 2]) == 0
    rmse, own = found["rmse"][2, 1], found["simulation_rmse"][2, 1]
    known = np.isfinite(rmse) & np.isfinite(own)
    assert float(made["beaten"][2, 1]) == pytest.approx((own < rmse)[known].mean())
    assert np.isnan(made["beaten"][0]).all()
    assert set(made.data_vars) == set(job.template().groups[1])
    for name, array in made.data_vars.items():
        spec = job.template().arrays[name]
        assert (array.dims, array.shape, array.dtype) == (spec.dims, spec.shape, spec.dtype)


def test_equal_error_beats_the_baseline():
    job = evaluate(*products())
    found = numbers(job)
    found["simulation_rmse"] = found["rmse"].copy()
    assert float(summary(found.items())["beaten"][1, 0]) == 0


def test_page_has_open_tags_or_needs_the_net():
    job = evaluate(*products())
    read = Page(page(job, numbers(job)))
    assert [each for each in read.addresses if not each.startswith("data:image/png;base64,")] == [
        "https://doi.org/10.1016/j.jhydrol.2009.08.003",
        "https://doi.org/10.5194/hess-23-4323-2019",
    ]
    assert len(read.images) == len(DRAWN) * 5 * (3 + 1)  # maps of three predictors, and a bar
    assert not re.search(rb"url\(|@import|http(?!s://doi\.org/)", page(job, numbers(job)))


def test_page_differs_from_one_time_to_the_next():
    first, second = (page(job, numbers(job)) for job in (evaluate(*products()), evaluate(*products())))
    assert first == second
    assert first != page(evaluate(*products()), numbers(evaluate(*products()), seed=2))


def test_head_says_skill_where_it_is_verification():
    job = evaluate(*products())
    data = page(job, numbers(job))
    read = Page(data)
    assert SENTENCE in read.text[:200]
    assert TEMPERATURE_ONLY in read.text
    assert SENTENCE in job.notes()["notes"][0]
    assert TEMPERATURE_ONLY in job.notes()["notes"]


@pytest.mark.parametrize(
    ("reference", "simulation", "said", "unsaid"),
    [
        ({}, {}, "verification against the land surface model of truth, not skill against reality", TEMPERATURE_ONLY),
        (
            {"model": "JULES vn7.0"},
            {"emulates": "JULES vn7.0", "pet": "Oudin 2005"},
            "against JULES vn7.0",
            "the column",
        ),
        ({"model": "JULES vn7.0"}, EMULATOR, "What they differ by counts as error", SENTENCE),
        ({"emulates": "JULES vn7.0"}, COLUMN, "an emulator of: JULES vn7.0; it is not skill", "verification"),
        (COLUMN, {**COLUMN, "pet": "Hargreaves 1985"}, TEMPERATURE_ONLY, "emulator"),
        (COLUMN, {**COLUMN, "pet": "product"}, SENTENCE, TEMPERATURE_ONLY),
        ({"statics": "hwsd"}, {"statics": "soilgrids"}, "statics is soilgrids in the simulation, hwsd", "PET"),
        ({"day_begins": "06:00"}, {}, "Days begin at 00:00 UTC in the simulation and at 06:00 UTC", "Soils"),
    ],
)
def test_head_follows_names_and_not_attributes(reference, simulation, said, unsaid):
    job = evaluate(*products(reference, simulation))
    head = Page(page(job, numbers(job))).text.partition("What is compared")[0]
    assert said in head
    assert unsaid not in head


def test_texts_are_markup():
    job = evaluate(*products({"model": '<b>JULES</b> & "co"'}, {}))
    read = Page(page(job, numbers(job)))
    assert 'against <b>JULES</b> & "co", not skill' in read.text


def test_scores_in_the_page_are_of_another_target():
    job = evaluate(*products())
    found = numbers(job, missing=0.0)
    found["nse"][1, 3] = -0.4142
    found["bias"][0, 4] = -0.00001
    found["paired_days"][2, 2, :, 1:] = 1826
    text = Page(page(job, found)).text
    section = text.partition("theta_4: volumetric")[2].partition("beta: beta (fsmc)")[0]
    assert "−0.414" in section
    assert text.count("−0.414") == 3  # median and quartiles
    assert "−0.0000" not in text
    assert "1826" in text.partition("theta_3: volumetric")[2].partition("theta_4")[0]
    assert b"<small>n " not in page(job, found)
    found["far"][0, 0] = np.nan
    found["far"][0, 0, 1, 1] = 0.25
    assert page(job, found).count(b"<small>n 1</small>") == 1


def test_empty_evaluation_fails():
    job = evaluate(*products())
    found = {
        name: np.full_like(values, 0 if name == "paired_days" else np.nan) for name, values in numbers(job).items()
    }
    assert "–" in Page(page(job, found)).text


def pixels(data):
    image = Image.open(io.BytesIO(data))
    return np.array(image.convert("RGB"))


def test_map_is_upside_down_or_has_other_colours():
    job = evaluate(*products())
    found = numbers(job)
    found["r"][0, 0] = 0.0
    found["r"][0, 0, 0, 1] = 1.0  # the lowest latitude is first
    found["r"][0, 0, 2, 2] = np.nan
    found["r"][0, 0, 1, 0] = -0.5
    first = Page(page(job, found)).images[5]
    assert first["alt"] == "map of r of theta_1, simulation"
    drawn = pixels(base64.b64decode(first["src"].partition(",")[2]))
    assert drawn.shape == (*CELLS, 3)
    low, high, grey = (tuple(bytes.fromhex(each)) for each in ("440154", "fde725", "d9d9d9"))
    assert tuple(drawn[2, 1]) == high
    assert tuple(drawn[0, 2]) == grey
    assert {tuple(each) for each in drawn.reshape(-1, 3)} == {low, high, grey}


def test_palette_misses_its_ends_or_a_big_map_is_drawn_whole():
    for palette in (VIRIDIS, INFERNO):
        ends = [bytes(palette.table[at]).hex() for at in (0, 254, 255)]
        assert ends == [palette.colours.split()[0], palette.colours.split()[-1], "d9d9d9"]
        assert len({bytes(each) for each in palette.table}) > 250
    assert pixels(Scale(0, 1, VIRIDIS).png(np.zeros((900, 50)))).shape == (300, 17, 3)
    assert [round_up(each) for each in (0.0, np.nan, 0.013, 0.02, 0.3, 7.0, 99.0)] == [1, 1, 0.02, 0.02, 0.5, 10, 100]
