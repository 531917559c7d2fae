"""Windows of stores: which are taken, and what is done to them."""
