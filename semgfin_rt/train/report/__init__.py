"""The report of a run: results.json, results.parquet and report.html, readable without network."""
