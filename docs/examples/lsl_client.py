"""Print the decisions that `semgfin-rt` publishes over LSL: label, confidence, state."""

import json
import sys

from pylsl import StreamInlet, resolve_byprop

wanted = ("source_id", sys.argv[1]) if len(sys.argv) > 1 else ("type", "Movement")
found = resolve_byprop(*wanted, timeout=60)
if not found:
    raise SystemExit("No decisions were found: start `semgfin-rt demo` first.")
inlet = StreamInlet(found[0])
described = inlet.info().desc()
classes = json.loads(described.child_value("classes"))  # label -> name
states = json.loads(described.child_value("states"))  # code -> word
print("listening to", found[0].source_id(), flush=True)
while True:
    row, time = inlet.pull_sample()  # sample, age_ms, then of each horizon label, confidence, ...
    label, confidence, state = row[2:5]
    print(classes.get(f"{label:.0f}", "-"), f"{confidence:.2f}", states[f"{state:.0f}"], flush=True)
