"""Causal signal processing with explicit state: one code path offline and online."""
