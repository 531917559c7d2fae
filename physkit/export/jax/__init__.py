"""FacePhys in JAX: the network as flax modules, its deployed form, and the artifact of it."""
