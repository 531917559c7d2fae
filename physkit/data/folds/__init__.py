"""Shipped splits, one file each: see `physkit.data.splits`."""
