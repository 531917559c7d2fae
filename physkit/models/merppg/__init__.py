"""ME-rPPG: its config and the network."""
