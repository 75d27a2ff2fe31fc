"""The protocols: what is trained on whom, tested on whom, and with which controls beside it."""
