"""Print the decisions that `semgfin-rt ... --udp 5005` sends: label, confidence, state."""

import json
import socket
import sys

port = int(sys.argv[1]) if len(sys.argv) > 1 else 5005
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("127.0.0.1", port))
print(f"listening on port {port}", flush=True)
while True:
    decision = json.loads(listener.recv(65_535))
    now = decision["horizons"][0]
    print(now["name"], f"{now['confidence']:.2f}", now["state"], flush=True)
