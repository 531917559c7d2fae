"""Layers that models share, and the streaming-state protocol."""
