"""Video, cameras, image folders and crops in: RGB frames with true timestamps."""
