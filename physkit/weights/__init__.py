"""Weights files: our format, importers of released files, and the manifest of both."""
