"""What every room of physkit shares: errors, registries, units and the pulse itself."""
