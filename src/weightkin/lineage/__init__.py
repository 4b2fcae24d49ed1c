"""Many models in, their family out: who descends from whom."""
