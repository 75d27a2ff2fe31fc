"""The application without its window: sessions, scenarios, summaries."""
