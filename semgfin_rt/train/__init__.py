"""Recordings -> checkpoint, and checkpoint x recordings -> figures."""
