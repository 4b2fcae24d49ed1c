"""The tests of the two papers as they were published; listed, never part of a verdict."""
