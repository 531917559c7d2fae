"""Training of any network: the Lightning module, what happens between its steps, and loggers."""
