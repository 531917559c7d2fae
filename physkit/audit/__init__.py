"""What is wrong with a raw data set or a store: each recording alone, and all together."""
