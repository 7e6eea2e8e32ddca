"""``python -m quagpredict`` is ``quagpredict``."""

import sys

from quagpredict.cli import main

if __name__ == "__main__":
    sys.exit(main())
