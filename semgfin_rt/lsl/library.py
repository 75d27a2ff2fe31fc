"""The library behind Lab Streaming Layer: the one module that imports and configures pylsl.

liblsl reads its configuration once, at its first call. So nothing else imports pylsl: `api`
hands it out, configured. By default streams stay on this machine (`configure(lan=True)` opens the
network); a file named in ``LSLAPICFG`` replaces all of it. ``SEMGFIN_LSL_SESSION`` separates
streams of one session (a test run) from all others.
"""

from __future__ import annotations

import os
from types import ModuleType

from semgfin_rt.errors import OptionError, SystemLibraryError

SESSION_VARIABLE = "SEMGFIN_LSL_SESSION"
# Short probe times: a stream of this machine answers within a millisecond, and the defaults cost
# 0.6 s at the first clock offset and at every look around. The least round trips are the time from
# one question to the next: a stream that comes back is found within 50 ms.
_MACHINE_ONLY = """\
[ports]
IPv6 = disable
[multicast]
ResolveScope = machine
[tuning]
MulticastMinRTT = 0.05
MulticastMaxRTT = 0.2
UnicastMinRTT = 0.05
UnicastMaxRTT = 0.2
TimeProbeCount = 3
TimeProbeInterval = 0.02
TimeProbeMaxRTT = 0.05
TimeUpdateMinProbes = 2
"""
_state: dict[str, bool] = {}


def configure(lan: bool = False) -> None:
    """Configure liblsl, once for the life of the process; a second call changes nothing.

    Parameters
    ----------
    lan : bool
        Also see, and be seen by, other machines of the network.

    Raises
    ------
    SystemLibraryError
        If liblsl is missing or too old to be configured.
    OptionError
        If the network is asked for after LSL has started without it.
    """
    if "lan" in _state:
        if lan and not _state["lan"]:
            raise OptionError(
                "--lan was given after LSL had started for this machine only: configure it first."
            )
        return
    pylsl = _import_pylsl()
    if not os.environ.get("LSLAPICFG"):
        try:
            pylsl.set_config_content(_configuration(lan))
        except NotImplementedError as error:
            raise SystemLibraryError(
                f"liblsl {pylsl.library_version() / 100:g} cannot be configured: install liblsl "
                "1.17.7 or later (conda-forge: liblsl) and set PYLSL_LIB to it."
            ) from error
    _state["lan"] = lan


def uses_lan() -> bool:
    """Whether streams of other machines are seen: what a child process must be told."""
    return _state.get("lan", False)


def api() -> ModuleType:
    """Return pylsl, configured (for this machine only unless `configure` said otherwise)."""
    if "lan" not in _state:
        configure()
    return _import_pylsl()


def local_clock() -> float:
    """Return the LSL clock of this machine, in s."""
    return float(api().local_clock())


def _import_pylsl() -> ModuleType:
    try:
        import pylsl
    except (RuntimeError, OSError, ImportError) as error:
        reason = str(error).splitlines()[0].strip()
        raise SystemLibraryError(
            f"LSL cannot be loaded ('{reason}'): install liblsl (conda-forge: liblsl) and set "
            "PYLSL_LIB to the path of the library."
        ) from error
    return pylsl  # type: ignore[no-any-return,unused-ignore]


def _configuration(lan: bool) -> str:
    session = os.environ.get(SESSION_VARIABLE, "")
    if any(c in session for c in "\r\n;#"):
        raise OptionError(f"{SESSION_VARIABLE} is {session!r}: use letters, digits and dashes.")
    lab = ([] if lan else ["KnownPeers = {127.0.0.1}"]) + (
        [f"SessionID = {session}"] if session else []
    )
    text = "[log]\nlevel = -3\n" + ("" if lan else _MACHINE_ONLY)
    return text + "\n".join(["[lab]", *lab, ""])
