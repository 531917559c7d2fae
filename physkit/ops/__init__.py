"""Pure tensor functions, one folder an op: a reference and its fast forms."""
