"""Running trained networks: compiled for this machine, or from exported files."""
