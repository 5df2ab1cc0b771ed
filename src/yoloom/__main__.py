"""Entry point of `python -m yoloom`."""

import sys

from yoloom.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
