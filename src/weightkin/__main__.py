"""The entry of the command line, and ``python -m weightkin``."""

import sys
import traceback

EXIT_INCOMPLETE = 2  # as in `cli.main`, which may be what cannot be loaded


def main() -> None:
    """Run the command line; an interrupt while it is still loaded is one line as well."""
    try:
        from weightkin.cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("weightkin: stopped", file=sys.stderr)
        sys.exit(EXIT_INCOMPLETE)
    except Exception as error:  # noqa: BLE001 (Python would make exit code 1 of it, that of a hit)
        traceback.print_exc()
        print(f"weightkin: cannot be started ({type(error).__name__})", file=sys.stderr)
        sys.exit(EXIT_INCOMPLETE)


if __name__ == "__main__":
    main()
