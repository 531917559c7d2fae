"""What an evaluation leaves on disk: metrics.json, windows.parquet and report.html."""
