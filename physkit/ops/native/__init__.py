"""Compiling and loading the ops' C++ forms, at first use, on the machine that runs them."""
