"""Descriptions of streams are written, read back, and refused when they are out of the question."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from dataclasses import replace
from random import Random

import pytest

from semgfin_rt import lsl
from semgfin_rt.contracts import SignalSpec
from semgfin_rt.errors import OptionError, StreamError

SPEC = SignalSpec(("a", "b"), 2000.0, "V")


def described(unit: str | None, labels: tuple[str, ...] = ("a", "b")):
    info = lsl.api().StreamInfo("EMG", "EMG", 2, 2000.0, "float32", "x")
    channels = info.desc().append_child("channels")
    for label in labels:
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        if unit is not None:
            channel.append_child_value("unit", unit)
    return info


def test_description_comes_back():
    extra = {"speed": "2.0", "dataset": "db2", "subject": "7"}
    info = lsl.make_info("EMG", "EMG", "x", SPEC, (0.0, None), extra)
    said = lsl.describe(info)
    assert said == lsl.StreamDescription(SPEC, 1.0, 2.0)
    assert "<angle_deg>0</angle_deg>" in info.as_xml()
    assert info.as_xml().count("<location>") == 1


def test_counter_channel_is_no_signal():
    info = lsl.make_info("EMG", "EMG", "x", SPEC, counter=True)
    assert info.channel_count() == 3
    said = lsl.describe(info)
    assert (said.spec, said.counter) == (SPEC, True)
    # A channel that is only called so is a signal.
    named = SignalSpec(("a", "counter"), 2000.0, "V")
    said = lsl.describe(lsl.make_info("EMG", "EMG", "x", named))
    assert (said.spec, said.counter) == (named, False)


@pytest.mark.parametrize(
    ("word", "unit", "gain"),
    [
        ("V", "V", 1.0),
        ("volts", "V", 1.0),
        ("mV", "V", 1e-3),
        ("microvolts", "V", 1e-6),
        ("uV", "V", 1e-6),
        ("µV", "V", 1e-6),
        ("\u03bcV", "V", 1e-6),
        ("count", "count", 1.0),
    ],
)
def test_units(word, unit, gain):
    said = lsl.describe(described(word))
    assert (said.spec.unit, said.gain) == (unit, gain)


def test_unit_must_be_known_from_somewhere():
    with pytest.raises(StreamError, match=r"states no unit: pass `--unit V`"):
        lsl.describe(described(None))
    with pytest.raises(StreamError, match="'furlong'"):
        lsl.describe(described("furlong"))
    with pytest.raises(StreamError, match="--unit is 'ohm'"):
        lsl.describe(described(None), unit="ohm")
    said = lsl.describe(described(None), unit="mV")
    assert (said.spec.unit, said.gain, said.notes) == ("V", 1e-3, ())


def test_unit_of_the_user_wins_and_is_noted():
    said = lsl.describe(described("uV"), unit="V")
    assert said.gain == 1.0
    assert said.notes == ("the stream 'EMG' states uV; read as V, as --unit says.",)


def test_channels_without_names():
    info = lsl.api().StreamInfo("EMG", "EMG", 2, 2000.0, "float32", "x")
    said = lsl.describe(info, "V")
    assert said.spec.channels == ("ch1", "ch2")
    assert "names no channels" in said.notes[0]
    assert lsl.describe(info, "V", ("l", "r")).spec.channels == ("l", "r")
    assert lsl.describe(info, "V", ("l", "r", "t")).spec.channels == ("ch1", "ch2")


@pytest.mark.parametrize("labels", [("a",), ("a", "b", "c"), ("a", "")])
def test_refuses_a_partial_description(labels):
    with pytest.raises(StreamError, match="EMG"):
        lsl.describe(described("V", labels))


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "inf", "fast", "9"])
def test_refuses_a_speed(speed):
    info = lsl.make_info("EMG", "EMG", "x", SPEC, extra={"speed": speed})
    with pytest.raises(StreamError, match="speed"):
        lsl.describe(info)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_channels": 0}, "0 channels"),
        ({"n_channels": 2_000_000_000}, "2000000000 channels"),
        ({"rate": 1e300}, r"1e\+300 Hz"),
        ({"rate": float("nan")}, "nan Hz"),
        ({"rate": 0.0}, "0 Hz"),
        ({"rate": -1.0}, "-1 Hz"),
        ({"channel_format": 3}, "numbers"),
        ({"channel_format": -7}, "numbers"),
        ({"name": "x" * 300}, r"a name of 300 characters \('xxx"),
        ({"source_id": "a\nb"}, r"a source_id with control characters \('a\\nb'\)"),
        ({"host": "\u202egro"}, r"a host with control characters \('\\u202egro'\)"),
    ],
)
def test_refuses_what_no_signal_claims(change, said):
    stream = lsl.FoundStream("EMG", "EMG", "x", "host", "uid", 12, 2000.0, 1, None)
    lsl.require_usable(stream)
    with pytest.raises(StreamError, match=said):
        lsl.require_usable(replace(stream, **change))


GOOD = (
    lsl.make_info("EMG", "EMG", "x", SPEC, extra={"speed": "1"}, counter=True)
    .as_xml()
    .replace("<uid></uid>", "<uid>u</uid>")
    .replace("<created_at>0", "<created_at>1")
)
WORDS = [
    "",
    "0",
    "-1",
    "2e9",
    "1e300",
    "nan",
    "inf",
    "99999999999",
    "float32",
    "string",
    "\x1b[2J",
    "é" * 999,
    "<channel/>" * 2000,
    "&bad;",
    "<!--",
    "]]>",
    "counter",
    "\x00",
    "%s%n",
    "'\"",
]


def spoil(xml: str, random: Random) -> bytes:
    """Put nonsense into some elements, or flip, cut, double or drop some bytes."""
    if random.random() < 0.7:
        for _ in range(random.randint(1, 3)):
            start = random.choice([m.end() for m in re.finditer(r"<\w+>", xml)])
            stop = max(start, xml.find("<", start))
            xml = xml[:start] + random.choice(WORDS) + xml[stop:]
        return xml.encode()
    data = bytearray(xml.encode())
    for _ in range(random.randint(1, 20)):
        data[random.randrange(len(data))] = random.randrange(256)
    start, stop = sorted(random.sample(range(len(data)), 2))
    return bytes(random.choice([data, data[:stop], data[start:], data + data[start:stop]]))


def test_description_is_read_without_a_network():
    assert lsl.parse_description(GOOD.encode()) == lsl.StreamDescription(SPEC, counter=True)
    with pytest.raises(StreamError, match=r"in 1048577 bytes"):
        lsl.parse_description(b"x" * (2**20 + 1))


def test_spoilt_descriptions_are_read_or_refused():
    random, read, refusals = Random(7), [], []
    for _ in range(2000):
        try:
            read.append(lsl.parse_description(spoil(GOOD, random)).spec)
        except StreamError as error:
            refusals.append(str(error))
    assert min(len(read), len(refusals)) > 100
    assert all(1 <= len(spec.channels) <= 1024 for spec in read)
    assert all(1.0 <= spec.rate <= 100_000.0 for spec in read)
    assert all(len(text) < 1000 and text.isprintable() for text in refusals)


def test_names_with_quotation_marks_are_found_or_refused():
    source_id = f"o'clock-{uuid.uuid4()}"
    outlet = lsl.api().StreamOutlet(lsl.make_info("EMG", "EMG", source_id, SPEC))
    assert [s.source_id for s in lsl.find_streams(3.0, source_id=source_id)] == [source_id]
    with pytest.raises(StreamError, match="both kinds of quotation marks"):
        lsl.find_streams(0.1, source_id="""'"] | //*[@x='""")
    both = """'EMG" """
    named = lsl.api().StreamOutlet(lsl.make_info(both, "EMG", f"{source_id} 2", SPEC))
    (found,) = lsl.find_streams(3.0, name=both, source_id=f"{source_id} 2")
    assert found.name == both
    del named
    del outlet


def test_finds_by_every_criterion():
    source_id = f"find-{uuid.uuid4()}"
    info = lsl.make_info(f"name {source_id}", "EMG", source_id, SPEC)
    outlet = lsl.api().StreamOutlet(info)
    (found,) = lsl.find_streams(3.0, source_id=source_id)
    assert (found.n_channels, found.rate, found.is_local) == (2, 2000.0, True)
    assert len(lsl.find_streams(3.0, name=f"name {source_id}", type="EMG")) == 1
    assert lsl.find_streams(0.3, source_id=source_id, type="EEG") == []
    assert source_id in [s.source_id for s in lsl.find_streams(0.5)]
    del outlet


def test_a_search_by_two_criteria_ends_at_what_meets_both():
    name = f"bare-{uuid.uuid4()}"
    names = [f"{name} {i}" for i in range(4)] + [name]
    outlets = [lsl.api().StreamOutlet(lsl.make_info(n, "EMG", "", SPEC)) for n in names]
    namesake = lsl.api().StreamOutlet(lsl.make_info(name, "EMG", str(uuid.uuid4()), SPEC))
    found = lsl.find_streams(3.0, name, source_id="")
    assert [(s.name, s.source_id) for s in found] == [(name, "")]
    del outlets, namesake


def test_network_cannot_be_opened_afterwards():
    lsl.api()
    lsl.configure()
    assert not lsl.uses_lan()
    with pytest.raises(OptionError, match="--lan"):
        lsl.configure(lan=True)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def test_missing_library_is_one_sentence(tmp_path):
    broken = tmp_path / "liblsl.so"
    broken.write_text("not a library")
    code = (
        "from semgfin_rt import lsl, errors\n"
        "try:\n    lsl.api()\n"
        "except errors.SystemLibraryError as error:\n    print(error)"
    )
    said = run_python(code, PYLSL_LIB=str(broken)).stdout
    assert "install liblsl" in said
    assert "PYLSL_LIB" in said
    assert said.count("\n") == 1


def test_importing_the_package_does_not_load_the_library():
    code = "import sys; from semgfin_rt import lsl; print('pylsl' in sys.modules)"
    assert run_python(code).stdout.strip() == "False"


def test_own_configuration_of_the_user_is_respected(tmp_path):
    own = tmp_path / "lsl_api.cfg"
    own.write_text("[lab]\nSessionID = mine\n[log]\nlevel = -2\n")
    code = (
        "from semgfin_rt import lsl\n"
        "api = lsl.api()\n"
        "outlet = api.StreamOutlet(api.StreamInfo('a', 'b', 1, 1.0, 'float32', 'c'))\n"
        "print(outlet.get_info().session_id())"
    )
    assert run_python(code, LSLAPICFG=str(own)).stdout.strip() == "mine"
    assert run_python(code, SEMGFIN_LSL_SESSION="ours").stdout.strip() == "ours"
