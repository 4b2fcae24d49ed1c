"""What docs/results and docs/scale.md state: one module for each section, or a few."""
