"""The real-time loop around the pipeline, the process it lives in, and the player."""
