"""Where the program starts: `edgegitops …` and `python -m edgegitops …` are the same call."""

import sys
from typing import NoReturn

from edgegitops.cli.plain import try_plain


def main() -> NoReturn:
    """Run the process's own command line."""
    try_plain(sys.argv[1:])
    from edgegitops.cli.main import main as whole

    whole()


if __name__ == "__main__":
    main()
