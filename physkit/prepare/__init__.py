"""Raw data sets to stores: what is to be done, by whom, and what came of it."""
