"""A pulse while its video is being taken: capture, track, infer and draw, a thread each."""
