"""The entry of the command line, and ``python -m weightkin``."""

import sys


def main() -> None:
    """Run the command line; an interrupt while it is still loaded is one line as well."""
    try:
        from weightkin.cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("weightkin: stopped", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
