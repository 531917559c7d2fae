"""For processes that are to be interrupted."""

import signal


def heed() -> None:
    """Run in a new process: Ctrl-C counts, though whoever runs the tests may ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
