"""How small the people of these tests are."""

SMALL = {"movements": 2, "movement_s": 1.0, "rest_s": 1.0, "n_channels": 3}
"""Options of a synthetic subject."""
