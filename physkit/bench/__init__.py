"""`physkit bench`: speed of this machine's runtimes, side by side in one run."""
