"""EfficientPhys: its config and the network."""
