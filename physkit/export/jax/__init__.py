"""FacePhys' deployed step in JAX, and the artifact of it."""
