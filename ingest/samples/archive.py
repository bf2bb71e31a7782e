"""What goes where: the folders of the sample archive and the order in which they are filled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cube.errors import Problem, RefusedError

from . import cru, haduk, isimip, jules, smap, statics, tamsat, tropomi
from .netcdf import SOURCE
from .region import Region, african, british
from .settings import SampleSettings

_README = """\
This is a SYNTHETIC archive. Every number in it was made up by a random generator.

It was written by the {source} generator (cube sample-archive) with seed {seed}.
The files follow the names, dimensions, units and peculiarities of TAMSAT, CRU-NCEP, CRU-JRA, HadUK-Grid, ISIMIP2b,
SMAP, TROPOMI and JULES files, so that software can be tried and tested without the real ones. None of those producers
made or endorsed them. The weather is only plausible: draw no conclusion about any place, climate or drought from it,
and do not pass the files on as observations or model output.

family           files  folder
{table}
"""


@dataclass(frozen=True)
class Family:
    folder: str
    count: Callable[[SampleSettings], int]
    write: Callable[[Path, SampleSettings, Region, Region], Iterator[Path]]


FAMILY_FOLDERS: dict[str, Family] = {
    "tamsat-native": Family("tamsat/v3-native", tamsat.count_native, lambda f, s, a, _: tamsat.write_native(f, s, a)),
    "tamsat-v31": Family("tamsat/v3.1", tamsat.count_v31, lambda f, s, a, _: tamsat.write_v31(f, s, a)),
    "cru-ncep": Family("cru-ncep", cru.count_ncep, lambda f, s, a, _: cru.write_ncep(f, s, a)),
    "cru-jra": Family("cru-jra", cru.count_jra, lambda f, s, a, _: cru.write_jra(f, s, a)),
    "haduk": Family("haduk", haduk.count, lambda f, s, _, uk: haduk.write(f, s, uk)),
    "isimip2b": Family("isimip2b/HadGEM2-ES", isimip.count, lambda f, s, a, _: isimip.write(f, s, a)),
    "smap": Family("smap", smap.count, lambda f, s, a, _: smap.write(f, s, a)),
    "tropomi-sif": Family("tropomi-sif", tropomi.count, lambda f, s, a, _: tropomi.write(f, s, a)),
    "jules": Family("jules", jules.count, jules.write),
    "statics": Family("statics", statics.count, statics.write),
}


@dataclass(frozen=True)
class FamilySummary:
    family: str
    folder: str
    files: int
    bytes: int


@dataclass(frozen=True)
class SampleSummary:
    """What was written; `files` and `bytes` include the README."""

    directory: Path
    files: int
    bytes: int
    families: tuple[FamilySummary, ...]


def write_sample_archive(
    directory: Path,
    settings: SampleSettings | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> SampleSummary:
    """Write the archive into `directory`, which must be empty or absent.

    `progress(family, files done, files in all)` is called after each file. Memory is bounded by blocks of days,
    whatever the period. The same settings give the same bytes on one machine with one set of packages.
    Raises RefusedError when the directory holds anything.
    """
    settings = settings or SampleSettings()
    if directory.exists() and any(directory.iterdir()):
        raise RefusedError(
            Problem(
                "samples-not-empty",
                "the directory is not empty",
                str(directory),
                "an archive with files of two origins cannot be told from a sound one",
                "name a new directory or empty this one",
            )
        )
    directory.mkdir(parents=True, exist_ok=True)
    africa, uk = african(settings), british(settings)
    wanted = {name: family for name, family in FAMILY_FOLDERS.items() if name in settings.families}
    table = "\n".join(f"{name:<15} {family.count(settings):>6}  {family.folder}" for name, family in wanted.items())
    readme = directory / "README.txt"
    readme.write_text(_README.format(source=SOURCE, seed=settings.seed, table=table), encoding="utf-8")
    summaries = []
    for name, family in wanted.items():
        total, done, size = family.count(settings), 0, 0
        for path in family.write(directory / family.folder, settings, africa, uk):
            done, size = done + 1, size + path.stat().st_size
            if progress is not None:
                progress(name, done, total)
        summaries.append(FamilySummary(name, family.folder, done, size))
    return SampleSummary(
        directory,
        1 + sum(summary.files for summary in summaries),
        readme.stat().st_size + sum(summary.bytes for summary in summaries),
        tuple(summaries),
    )
