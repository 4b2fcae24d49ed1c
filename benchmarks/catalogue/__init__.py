"""Building the catalogue of library classes: classes run tiny, traced, generalised and proven."""
