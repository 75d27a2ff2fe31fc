"""Where chunks come from: a live LSL stream, or a recording read straight through."""
