"""Compiles the C++ forms of the ops at first use, on the machine that runs them, and loads them."""
