"""PhysMamba: its config and the network."""
