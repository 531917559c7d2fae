"""Pulse from the mean skin colour, without weights: one published method a file."""
