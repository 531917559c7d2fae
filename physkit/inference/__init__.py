"""Frames or recordings through a model to a result: files, live, stores."""
