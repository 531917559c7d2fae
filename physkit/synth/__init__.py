"""Synthetic recordings with known pulse."""
