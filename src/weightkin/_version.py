"""The version of the package, apart from everything else."""

__version__ = "0.2.0.dev0"
