"""``python -m weightkin``: the command line."""

from weightkin.cli.main import main

main()
