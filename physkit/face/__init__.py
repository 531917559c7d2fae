"""Finding, following and cutting out the face."""
