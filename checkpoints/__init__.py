"""Installed as physkit.checkpoints: the manifest, and the small weights of our own."""
