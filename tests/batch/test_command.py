"""The `cube` command as an operator and a machine meet it: exit codes, JSON, and what is said first."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import netCDF4
import pytest
from click.testing import CliRunner

from batch import jobs
from batch.command import EXIT_CODES, main
from cube import errors
from cube.codes import CODES
from tests.batch.toy import Toy, ToyOptions

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setitem(jobs.JOBS, "toy", Toy)
    monkeypatch.setitem(jobs.OPTIONS, "toy", ToyOptions)
    monkeypatch.chdir(tmp_path)

    def run(*arguments, days=800, **options):
        given = "".join(f", {key}: {value}" for key, value in options.items())
        (tmp_path / "cube.yaml").write_text(
            "title: Toy\nstore: ./cube\nmemory: 2 GiB\ncluster: {kind: local, workers: 0}\nproducts:\n"
            f"  rain: {{job: toy, collection: inputs, layout: {{segment: 1 years}}, days: {days}{given}}}\n"
            "  dry: {job: metric, collection: metrics, metric: dry_days, input: rain, threshold: 4 mm d-1}\n"
        )
        return CliRunner().invoke(main, list(arguments))

    return run


def test_first_build_and_second_build_say_the_same(run):
    first, second = run("build"), run("build")
    assert first.exit_code == second.exit_code == 0
    assert "published" in first.output
    assert "nothing to do: 2 products are up to date" in second.output


def test_machine_cannot_read_the_outcome(run):
    built = json.loads(run("build", "--json").stdout)
    assert [each["name"] for each in built["built"]] == ["rain", "dry"]
    again = json.loads(run("build", "--json").stdout)
    assert again == {
        "built": [],
        "current": ["rain", "dry"],
        "exit_code": 0,
        "failed": {},
        "waiting": {},
        "held": {},
        "undeclared": [],
    }


def test_plan_writes_or_hides_why(run, tmp_path):
    result = run("plan", "--json")
    plan = json.loads(result.stdout)
    assert plan["products"]["rain"]["reasons"] == {"not built yet": 3}
    assert plan["products"]["dry"]["limiting_input"] == "rain"
    assert not (tmp_path / "cube").exists()
    assert "not built yet (3)" in run("plan").output


def test_failure_does_not_say_what_readers_see(run):
    assert run("build").exit_code == 0
    result = run("build", days=900, broken=850)
    assert result.exit_code == 3
    assert "version" in result.output
    assert "to 1972-03-10 is still published" in result.output
    assert "dry: not tried, it is made from rain" in result.output


def test_one_product_builds_without_its_inputs_or_with_others(run):
    built = json.loads(run("build", "rain", "--json").stdout)
    assert [each["name"] for each in built["built"]] == ["rain"]
    built = json.loads(run("build", "dry", "--json").stdout)
    assert [each["name"] for each in built["built"]] == ["dry"]
    assert built["current"] == ["rain"]


@pytest.mark.parametrize("command", ["build", "plan", "status", "verify", "show"])
def test_unknown_product_is_taken_for_nothing_to_do(run, command):
    result = run(command, "rainn")
    assert result.exit_code == 2
    assert "rain, dry" in result.output


def test_missing_specification_is_a_traceback(run, tmp_path):
    result = CliRunner().invoke(main, ["build", "--spec", "nowhere.yaml"])
    assert result.exit_code == 2
    assert "nowhere.yaml" in result.output
    result = CliRunner().invoke(main, ["build", "--spec", "nowhere.yaml", "--json"])
    assert json.loads(result.stdout)["problems"][0]["code"] == "spec-file"


def test_damage_passes_verification(run, tmp_path):
    run("build")
    assert run("verify", "--deep").exit_code == 0
    shard = next((tmp_path / "cube/inputs/rain").glob("*/time.zarr/pr/c/1/0/0"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    assert run("verify").exit_code == 0, "a size that is right passes the quick check"
    result = run("verify", "--deep")
    assert result.exit_code == 6
    assert "time.zarr/pr/c/1/0/0" in result.output
    found = {
        json.loads(run("verify", "--share", f"{part}/5", "--json").stdout)[0]["problems"] != [] for part in range(1, 6)
    }
    assert found == {True, False}, "one of five shares holds the damaged object"
    assert run("build", "--repair").exit_code == 0
    assert run("verify", "--deep").exit_code == 0


def test_sample_archive_of_another_size_is_the_default_one(tmp_path):
    options = ["--africa-step", "10", "--first-year", "2003", "--last-year", "2004", "--family", "cru-jra"]
    result = CliRunner().invoke(main, ["sample-archive", str(tmp_path / "archive"), *options])
    assert result.exit_code == 0, result.output
    files = sorted((tmp_path / "archive/cru-jra").iterdir())
    assert [path.name.split(".")[4:6] for path in files] == [
        ["pre", "2003"],
        ["pre", "2004"],
        ["tmp", "2003"],
        ["tmp", "2004"],
    ]
    with netCDF4.Dataset(files[0]) as file:
        assert file.variables["pre"].shape == (1460, 8, 7)
    wrong = CliRunner().invoke(main, ["sample-archive", str(tmp_path / "other"), "--family", "crujra"])
    assert wrong.exit_code == 2
    assert "crujra" in wrong.output


def test_share_that_is_no_part_is_accepted(run):
    for text in ("0/7", "8/7", "half", "1/0"):
        assert run("verify", "--share", text).exit_code == 2


def test_status_shows_what_is_not_there(run):
    assert "not published" in run("status").output
    run("build")
    rows = json.loads(run("status", "--json").stdout)
    assert [(row["product"], row["end"]) for row in rows] == [("rain", "1972-03-10"), ("dry", "1971-01-01")]
    assert rows[1]["limiting_input"] == "rain"


def test_show_hides_how_to_open_it(run):
    run("build")
    output = run("show", "rain").output
    assert "xarray.open_zarr(" in output
    assert "CC-BY-4.0" in output


def test_exit_code_of_an_error_is_undocumented():
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.CubeError)]
    documented = {int(line.split()[0]) for line in EXIT_CODES.splitlines() if line.strip()[:1].isdigit()}
    assert {each.exit_code for each in classes} <= documented


CODE_ARGUMENTS = {"Problem": 0, "GridError": 0, "problem": 0, "_problem": 0, "compare": 0, "refuse": 1, "add": 1}
"""The functions that take an error code, and as which argument; `refuse` takes it first where it has no file."""


def raised_codes() -> set[str]:
    """All error codes in the source: given to those functions, or chosen before the call."""
    families = {code.partition("-")[0] for code in CODES if "-" in code}
    found: set[str] = set()
    for package in ("cube", "ingest", "compute", "stac", "batch"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                    last = CODE_ARGUMENTS.get(name, -1)
                    given = node.args[0 if name == "refuse" else last : last + 1]
                    words = [part.value for each in given for part in ast.walk(each) if isinstance(part, ast.Constant)]
                    least = "*" if name == "Problem" else "+"
                    found.update(str(word) for word in words if re.fullmatch(rf"[a-z]+(-[a-z0-9]+){least}", str(word)))
                elif isinstance(node, ast.Constant) and re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", str(node.value)):
                    found.update([node.value] if node.value.partition("-")[0] in families else [])
    return found - {"no-cache", "worker-restart-memory"}  # of HTTP, and a topic of dask's


def test_code_cannot_be_explained():
    assert raised_codes() == set(CODES)
    assert all(80 < len(text) < 800 for text in CODES.values())
    result = CliRunner().invoke(main, ["explain", "retraction"])
    assert result.exit_code == 0
    assert "archive that is not mounted" in result.output
    assert CliRunner().invoke(main, ["explain"]).output.split() == sorted(CODES)
    assert CliRunner().invoke(main, ["explain", "no-such-code"]).exit_code == 2
