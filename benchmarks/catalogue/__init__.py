"""Model classes of other libraries: built tiny, traced, proven; what the catalogue is made of."""
