"""physkit: train, reproduce, evaluate and deploy camera-based pulse models."""
