"""Lab Streaming Layer (LSL): the library and its configuration, discovery, descriptions."""

from semgfin_rt.lsl.description import (
    COUNTER_SPAN,
    MAX_SPEED,
    StreamDescription,
    describe,
    make_info,
)
from semgfin_rt.lsl.discovery import (
    NUMERIC_DTYPES,
    TEXT,
    FoundStream,
    answering,
    ask,
    find_streams,
    full_description,
    lost_error,
    open_inlet,
    parse_description,
    require_printable,
    require_usable,
)
from semgfin_rt.lsl.library import SESSION_VARIABLE, api, configure, local_clock, uses_lan

__all__ = [
    "COUNTER_SPAN",
    "MAX_SPEED",
    "NUMERIC_DTYPES",
    "SESSION_VARIABLE",
    "TEXT",
    "FoundStream",
    "StreamDescription",
    "answering",
    "api",
    "ask",
    "configure",
    "describe",
    "find_streams",
    "full_description",
    "local_clock",
    "lost_error",
    "make_info",
    "open_inlet",
    "parse_description",
    "require_printable",
    "require_usable",
    "uses_lan",
]
