"""``gateway`` and ``python -m gateway``."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from gateway.cli.main import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("error: the commands need the extra: pip install 'session-gateway[serve]'")
    sys.exit(run())


if __name__ == "__main__":
    main()
