"""The pages say what is true: links lead somewhere, specifications load, commands exist, the worked examples work."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import click
import pytest
import yaml

from batch import jobs
from batch.command import EXIT_CODES, main
from batch.spec import load_spec
from ingest.sources import SOURCES

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
PACKAGES = ("batch", "climate_impact_cube", "compute", "cube", "ingest", "stac")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `mark` is the comment directly above it."""

    page: Path
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.mark or self.text.strip().splitlines()[0]}"


def blocks(language: str, mark: str = "") -> list[Block]:
    """All fenced blocks of a language, those whose mark begins with `mark`."""
    pattern = re.compile(r"(?:<!-- (?P<mark>.*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
    found = [
        Block(page, match["language"], match["text"], match["mark"] or "")
        for page in PAGES
        for match in pattern.finditer(page.read_text(encoding="utf-8"))
    ]
    return [each for each in found if each.language == language and each.mark.startswith(mark)]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_link_leads_nowhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        path, _, fragment = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{page.name}: {target}"
        assert not fragment or fragment in anchors(place), f"{page.name}: {target}"


def test_page_is_linked_from_nowhere() -> None:
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/metrics.md"))
    assert [page.name for page in PAGES if page.name != "README.md" and f"{page.name})" not in text] == []


@pytest.mark.parametrize("block", blocks("yaml", "complete specification"), ids=str)
def test_complete_specification_is_refused(block: Block, tmp_path: Path) -> None:
    (tmp_path / "cube.yaml").write_text(block.text, encoding="utf-8")
    assert load_spec(tmp_path / "cube.yaml", jobs.OPTIONS).products


def test_readme_has_no_complete_specification() -> None:
    assert [each.page.name for each in blocks("yaml", "complete specification")].count("README.md") == 1


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_fragment_is_not_yaml(block: Block) -> None:
    yaml.safe_load(block.text)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_snippet_does_not_compile_or_imports_what_is_gone(block: Block) -> None:
    own = {each.mark.split()[-1] for each in blocks("python", "module ")}
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module not in own and str(node.module).split(".")[0] in PACKAGES:
            module = importlib.import_module(str(node.module))
            assert [each.name for each in node.names if not hasattr(module, each.name)] == [], node.module


def commands() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in blocks("sh") if block.page == page for line in block.text.splitlines()]
        for line in [*lines, *re.findall(r"`(cube [a-z][^`]*)`", text)]:
            words = shlex.split(line, comments=True)
            if words[:1] == ["cube"]:
                yield page.name, [re.sub(r"[\[\].]", "", word) for word in words[1:]]


def test_command_or_option_does_not_exist() -> None:
    found = list(commands())
    assert len(found) > 20
    for page, (name, *arguments) in found:
        if page == "README.md" and name in ("rollback", "gc", "export"):
            continue  # named as what does not exist yet
        command = main.get_command(click.Context(main), name)
        assert command is not None, f"{page}: cube {name}"
        known = {option for parameter in command.params for option in parameter.opts}
        assert [each for each in arguments if each.startswith("--") and each not in known] == [], f"{page}: cube {name}"


def test_operations_differ_from_the_command() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    codes = {line.split()[0] for line in EXIT_CODES.splitlines() if line.strip()[:1].isdigit()}
    assert set(re.findall(r"^\| (\d) \|", page, flags=re.MULTILINE)) == codes
    assert set(re.findall(r"^\| `cube ([a-z-]+)", page, flags=re.MULTILINE)) == set(main.commands)


def test_glossary_names_what_is_gone() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    names = set(re.findall(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)`", page)) - {"cube.yaml"}
    assert len(names) > 20
    for name in names:
        pkgutil.resolve_name(name)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], ModuleType]:
    """Makes a module of a page's block by its name, importable until the test ends."""
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "identities"))

    def make(name: str) -> ModuleType:
        (block,) = blocks("python", f"module {name}")
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(block.text, f"{block.page.name} {name}", "exec"), module.__dict__)
        return module

    return make


def test_source_of_the_page_does_not_work(
    example: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, shared: Path, tmp_path: Path
) -> None:
    monkeypatch.setitem(SOURCES, "chirps", example("ingest.sources.chirps").CHIRPS)
    tests = example("tests.ingest.test_chirps")
    tests.test_values_differ_from_the_files(shared)
    tests.test_two_resolutions_become_one_product(tmp_path)


@pytest.mark.parametrize("calendar", ["standard", "360_day"])
def test_job_of_the_page_does_not_work(
    example: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, calendar: str
) -> None:
    job = example("compute.monthly").MonthlyJob
    monkeypatch.setitem(jobs.JOBS, "monthly", job)
    monkeypatch.setitem(jobs.OPTIONS, "monthly", job.Options)
    example("tests.compute.test_monthly").test_totals_differ_from_those_of_xarray(tmp_path, monkeypatch, calendar)
