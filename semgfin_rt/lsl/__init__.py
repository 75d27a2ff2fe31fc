"""Lab Streaming Layer (LSL): the library and its configuration, discovery, descriptions."""

from semgfin_rt.lsl.description import MAX_SPEED, StreamDescription, describe, make_info
from semgfin_rt.lsl.discovery import (
    NUMERIC_DTYPES,
    FoundStream,
    answering,
    find_streams,
    lost_error,
    open_inlet,
    require_usable,
)
from semgfin_rt.lsl.library import SESSION_VARIABLE, api, configure, local_clock, uses_lan

__all__ = [
    "MAX_SPEED",
    "NUMERIC_DTYPES",
    "SESSION_VARIABLE",
    "FoundStream",
    "StreamDescription",
    "answering",
    "api",
    "configure",
    "describe",
    "find_streams",
    "local_clock",
    "lost_error",
    "make_info",
    "open_inlet",
    "require_usable",
    "uses_lan",
]
