"""The length that a classic NetCDF file must have, from its header.

netCDF reads a truncated classic file without complaint, zeros for what is missing, so the length is proven here.
Format: NetCDF classic, 64-bit offset and 64-bit data (CDF-1, CDF-2, CDF-5) as specified by Unidata.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
_STREAMING = {1: 0xFFFFFFFF, 2: 0xFFFFFFFF, 5: 0xFFFFFFFFFFFFFFFF}


class TruncatedHeaderError(ValueError):
    """The file ends inside its header, or the header is not one."""


@dataclass
class _Reader:
    file: BinaryIO
    version: int

    def take(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) < count:
            raise TruncatedHeaderError("the file ends inside its header")
        return data

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    @property
    def count_width(self) -> int:
        return 8 if self.version == 5 else 4

    def count(self) -> int:
        return self.number(self.count_width)

    def name(self) -> None:
        length = self.count()
        self.take(_padded(length))

    def list_length(self) -> int:
        self.number(4)  # the tag; zero where the list is absent, and then its length is zero too
        return self.count()

    def attributes(self) -> None:
        for _ in range(self.list_length()):
            self.name()
            size = _size(self.number(4))
            self.take(_padded(self.count() * size))


def expected_bytes(file: BinaryIO) -> int | None:
    """The least length in bytes of the classic file open at its start; None for other formats and for streamed files.

    Raises TruncatedHeaderError.
    """
    magic = file.read(4)
    if magic[:3] != b"CDF" or len(magic) < 4 or magic[3] not in _STREAMING:
        return None
    reader = _Reader(file, magic[3])
    records = reader.count()
    if records == _STREAMING[reader.version]:
        return None
    lengths = []
    for _ in range(reader.list_length()):
        reader.name()
        lengths.append(reader.count())
    reader.attributes()
    fixed_end, record_bytes, record_ends = 0, 0, [0]
    variables: list[tuple[bool, int, int]] = []
    for _ in range(reader.list_length()):
        reader.name()
        dimensions = [reader.count() for _ in range(reader.count())]
        if any(number >= len(lengths) for number in dimensions):
            raise TruncatedHeaderError("the header names a dimension that it does not define")
        reader.attributes()
        size = _size(reader.number(4))
        reader.count()  # vsize: redundant, and wrong by definition for variables beyond 4 GB
        begin = reader.number(4 if reader.version == 1 else 8)
        is_record = bool(dimensions) and lengths[dimensions[0]] == 0
        for number in dimensions[1:] if is_record else dimensions:
            size *= lengths[number]
        variables.append((is_record, begin, size))
    recorded = [size for is_record, _, size in variables if is_record]
    # A single record variable is not padded to four bytes.
    record_bytes = recorded[0] if len(recorded) == 1 else sum(_padded(size) for size in recorded)
    for is_record, begin, size in variables:
        if not is_record:
            fixed_end = max(fixed_end, begin + size)
        elif records:
            record_ends.append(begin + (records - 1) * record_bytes + size)
    return max(file.tell(), fixed_end, *record_ends)


def _padded(count: int) -> int:
    return (count + 3) // 4 * 4


def _size(kind: int) -> int:
    if kind not in _SIZES:
        raise TruncatedHeaderError(f"the header names type {kind}, which classic files do not have")
    return _SIZES[kind]
