"""From raw data sets to clean stores, and from stores to training windows."""
