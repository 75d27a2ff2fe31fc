"""Stand in for an amplifier: twelve channels of noise at 2 kHz, named, in microvolts."""

import time

import numpy as np
from pylsl import StreamInfo, StreamOutlet, local_clock

rate, names, noise = 2000, [f"emg{i}" for i in range(1, 13)], np.random.default_rng()
info = StreamInfo("amplifier", "EMG", len(names), rate, "float32", "amplifier-serial-17")
channels = info.desc().append_child("channels")
for name in names:
    channel = channels.append_child("channel")
    for key, value in {"label": name, "unit": "microvolts", "type": "EMG"}.items():
        channel.append_child_value(key, value)
outlet, sent, began = StreamOutlet(info), 0, local_clock()
print("sending 'amplifier'", flush=True)
while not time.sleep(0.005):
    n = int((local_clock() - began) * rate) - sent
    sent += n  # the time of the newest sample follows from its number: no jitter
    outlet.push_chunk(noise.normal(0, 10, (n, 12)).astype("float32"), began + sent / rate)
