"""Row 7: stream descriptions full of nonsense, read as they come over the network."""

from __future__ import annotations

import re
from random import Random

from semgfin_rt import lsl
from semgfin_rt.app.faults.child import in_child
from semgfin_rt.app.faults.finding import Finding, Scale
from semgfin_rt.contracts import SignalSpec
from semgfin_rt.errors import StreamError, SystemLibraryError
from semgfin_rt.train.costs import resident_bytes

GROWTH_MB = 50.0
_MANY = 10_000
_NONSENSE = (
    *("", "0", "-1", "1e300", "-inf", "nan", "2000000000", "99999999999999999999", "0x10", "1,5"),
    *("string", "float128", "counter", "uV", "%s%n", "../..", "\x1b[2J", "\u202e", "\x00", "'\"<"),
    *("&unknown;", "<!--", "<![CDATA[", "<channel/>" * 3000, "<a>" * 5000, "x" * 100_000),
)


def nonsense(scale: Scale) -> Finding:
    """Read spoilt descriptions in a process of its own, which must live."""
    n = scale.pick(_MANY, 10 * _MANY)
    try:
        read, refused, escaped, growth_mb = in_child(_read_all, n)
    except SystemLibraryError as error:
        return Finding(f"{error}, in {n} descriptions", False, {"crashes": 1})
    return Finding(
        f"0 crashes, {escaped} exceptions besides refusals, {growth_mb:.1f} MB growth in {n} "
        f"descriptions ({read} read, {refused} refused)",
        escaped == 0 and growth_mb <= GROWTH_MB and min(read, refused) > n // 100,
        {"crashes": 0, "escaped": escaped, "growth_mb": growth_mb},
    )


def _read_all(n: int) -> tuple[int, int, int, float]:
    """Return how many were read, were refused, and raised anything else; the growth in MB."""
    whole, random = _whole(), Random(7)
    lsl.parse_description(whole.encode())
    before = resident_bytes()
    read = refused = escaped = 0
    for _ in range(n):
        try:
            lsl.parse_description(spoilt(whole, random))
            read += 1
        except StreamError:
            refused += 1
        except Exception:  # noqa: BLE001  (what must not happen, whatever it is)
            escaped += 1
    return read, refused, escaped, (resident_bytes() - before) / 1e6


def _whole() -> str:
    spec = SignalSpec(tuple(f"emg{i}" for i in range(1, 13)), 2000.0, "V")
    xml: str = lsl.make_info("arm", "EMG", "x", spec, counter=True).as_xml()
    # As of an outlet: without a uid it would be refused for that alone.
    return xml.replace("<uid></uid>", "<uid>u</uid>").replace("<created_at>0", "<created_at>1")


def spoilt(xml: str, random: Random) -> bytes:
    """Return a description with other contents, elements moved, or bytes flipped and cut."""
    way = random.randrange(4)
    if way == 0:  # other contents
        for _ in range(random.randint(1, 4)):
            start = random.choice([m.end() for m in re.finditer(r"<\w+>", xml)])
            stop = max(start, xml.find("<", start))
            xml = xml[:start] + random.choice(_NONSENSE) + xml[stop:]
        return xml.encode()
    if way == 1:  # elements that are missing, or come again elsewhere
        lines = xml.splitlines()
        for _ in range(random.randint(1, 5)):
            line = lines.pop(random.randrange(1, len(lines)))
            if random.random() < 0.5:
                lines.insert(random.randrange(1, len(lines)), line)
        return "\n".join(lines).encode()
    data = bytearray(xml.encode())
    for _ in range(random.randint(1, 30)):
        data[random.randrange(len(data))] = random.randrange(256)
    return bytes(data) if way == 2 else bytes(data[: random.randrange(len(data))])
