"""RhythmMamba: its config and the network."""
