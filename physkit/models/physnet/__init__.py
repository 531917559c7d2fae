"""PhysNet: its config and its network."""
