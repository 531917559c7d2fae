"""FacePhys: its config, blocks, network, first weights and streaming form."""
