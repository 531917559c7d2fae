"""Training end to end: what `physkit fit`, `validate` and `test` do."""
