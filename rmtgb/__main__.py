"""``python -m rmtgb`` is the ``rmtgb`` command."""

import sys

from rmtgb.cli import main

if __name__ == "__main__":
    sys.exit(main())
