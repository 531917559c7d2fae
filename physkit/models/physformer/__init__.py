"""PhysFormer: its config and the network."""
