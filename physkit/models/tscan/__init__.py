"""TS-CAN: its config and the network."""
