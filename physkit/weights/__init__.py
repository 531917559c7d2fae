"""Weights in: released files into our format, our own files, and the manifest of both."""
