"""Two models in, evidence out: what may be tested, the guard before it, and the aligned tests."""
