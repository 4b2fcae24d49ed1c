"""Models of library classes that were traced: entries of the catalogue to labels and axes."""
