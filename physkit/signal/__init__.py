"""1-D signals in NumPy and SciPy: filters, heart rate, beats, variability, quality."""
