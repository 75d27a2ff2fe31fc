"""The commands `semgfin-rt` and `semgfin-train`."""
