"""Models are read from hostile files, row by row, without running anything."""
