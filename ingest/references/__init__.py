"""Kerchunk references: original files read as one Zarr array, published only when proven right.

`build_references` looks at every file, refuses with all reasons where one array cannot stand for them, joins their
byte ranges by VirtualiZarr, and compares the result with the files before anybody sees it.

Read either form with kerchunk, or the JSON form without it (Parquet needs fastparquet)::

    xr.open_dataset(URL, engine="kerchunk", storage_options={"remote_protocol": "https"})
    xr.open_dataset("reference://", engine="zarr", backend_kwargs={"consolidated": False, "storage_options": {
        "fo": JSON_URL, "remote_protocol": "https", "remote_options": {"asynchronous": True}}})

They carry the asked variables, the time axis with its bounds in one unit, and the coordinates, bounds and grid
mappings that do not vary in time; labels of time are the files' own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from cube.errors import InputError, Problem
from ingest.references.agreement import disagreements, too_fine, too_many
from ingest.references.proof import differences, private_paths, ranges_outside
from ingest.references.scan import ReferencedFile, Scan, scan
from ingest.references.writing import reference_set, shape_objects

__all__ = ["ReferencedFile", "References", "ReferencesRefused", "build_references"]

# Below this, reference and request weigh as much as the data they stand for.
SMALLEST_CHUNK = 4096
MOST_ENTRIES = 1_000_000
PARQUET_ABOVE = 4 * 2**20
_PUBLIC = frozenset({"http", "https", "s3", "gs", "gcs", "az", "abfs", "abfss"})


class ReferencesRefused(InputError):  # noqa: N818 - reads as what happened; it is no failure of the build
    """References to these files would be wrong or of no use. The product itself is not affected."""

    title = "there are no references to the original files"


@dataclass(frozen=True)
class References:
    """References ready to be published.

    objects  content by name relative to the version, e.g. "references.json" or "references.parquet/tas/refs.0.parq"
    entries  references to byte ranges
    steps    length of the time axis
    """

    format: Literal["json", "parquet"]
    objects: Mapping[str, bytes]
    entries: int
    steps: int


def build_references(
    files: Sequence[ReferencedFile],
    variables: Sequence[str],
    *,
    progress: Callable[[int, int], None] | None = None,
    executor: Executor | None = None,
    smallest_chunk: int = SMALLEST_CHUNK,
    most_entries: int = MOST_ENTRIES,
    parquet_above: int = PARQUET_ABOVE,
) -> References:
    """References to `variables` (the archive's own names) of `files`, which are in order of time.

    `progress(done, total)` counts files. `executor` looks at files side by side (processes: HDF5 holds one lock);
    the result does not depend on it. The JSON form becomes Parquet above `parquet_above` bytes.

    Raises ReferencesRefused with every reason; where the first file alone is reason enough, the others are not read.
    """
    problems = _requests(files, variables)
    if problems:
        raise ReferencesRefused(problems)
    labels = _labels([file.href for file in files])
    first = scan(files[0], labels[0], variables, keep=True)
    problems = list(first.problems) or too_fine(first, variables, smallest_chunk)
    if problems:
        raise ReferencesRefused(problems)
    scans = _scan_all(files, labels, variables, first, progress, executor)
    problems = disagreements(scans, variables) or too_many(scans, variables, most_entries)
    if problems:
        raise ReferencesRefused(problems)
    try:
        references = reference_set(scans, variables)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise ReferencesRefused(Problem("references-join", f"the files cannot be joined: {error}")) from error
    problems = private_paths(references, files) + ranges_outside(references, files, labels)
    problems = problems or differences(references, scans, files, variables)
    if problems:
        raise ReferencesRefused(problems)
    try:
        form, objects = shape_objects(references, parquet_above)
    except ValueError as error:
        raise ReferencesRefused(Problem("references-values", f"their Parquet form is wrong: {error}")) from error
    entries = sum(1 for value in references.values() if isinstance(value, list))
    return References(form, objects, entries, sum(one.times.values.size for one in scans if one.times is not None))


def _requests(files: Sequence[ReferencedFile], variables: Sequence[str]) -> list[Problem]:
    found = []
    if not files or not variables:
        found.append(Problem("references-empty", "there is no file or no variable to refer to"))
    seen: set[str] = set()
    for file in files:
        try:
            parts = urlsplit(file.href)
        except ValueError:
            parts = urlsplit("")
        # The href itself is not repeated: it may hold the secret that it is refused for.
        place = f"{parts.scheme}://{parts.hostname or ''}{parts.path}" if parts.scheme else "a file"
        fix = "give a public base_url to which the files' names are added"
        if parts.scheme not in _PUBLIC or not parts.hostname:
            scheme = parts.scheme or "none"
            what = f"its address has the scheme {scheme}; one of {', '.join(sorted(_PUBLIC))} is needed"
            found.append(Problem("references-href", what, file.path.name, "nobody else could read it", fix))
        elif parts.username or parts.password or parts.query or parts.fragment:
            danger = "it may hold a secret, and would be published"
            found.append(Problem("references-href", "its address has more than host and path", place, danger, fix))
        elif file.href in seen:
            found.append(Problem("references-href", "two files have this address", place, "one would be read twice"))
        seen.add(file.href)
    return found


def _labels(hrefs: Sequence[str]) -> list[str]:
    """Names for messages: the addresses without the folders that they share."""
    parts = [href.split("/") for href in hrefs]
    shared = 0
    while all(len(one) > shared + 1 and one[shared] == parts[0][shared] for one in parts):
        shared += 1
    return ["/".join(one[shared:]) for one in parts]


def _scan_all(
    files: Sequence[ReferencedFile],
    labels: Sequence[str],
    variables: Sequence[str],
    first: Scan,
    progress: Callable[[int, int], None] | None,
    executor: Executor | None,
) -> list[Scan]:
    run = map if executor is None else executor.map
    scans = [first]
    for one in run(scan, files[1:], labels[1:], [variables] * (len(files) - 1)):
        scans.append(one)
        if progress is not None:
            progress(len(scans), len(files))
    return scans
