"""Sizes of the specification: numbers with their unit."""

from __future__ import annotations

import re
from typing import Annotated, Any

from dask.utils import parse_bytes
from pydantic import BeforeValidator, Field


def _bytes(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"\d+(\.\d+)?\s*[kMGT]i?B", value.strip()):
        raise ValueError(f"a size is a number with its unit, such as 4 GiB or 500 MB, found {value!r}")
    return parse_bytes(value)


Size = Annotated[
    int,
    BeforeValidator(_bytes, json_schema_input_type=Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s*[kMGT]i?B$")]),
    Field(gt=0),
]
