"""`python -m modelmux` is `modelmux`."""

import sys

from modelmux.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
