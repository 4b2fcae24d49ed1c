"""Which blocks, units and tensors of two models are alike."""
