"""Where the program starts: `edgegitops …` and `python -m edgegitops …` are the same call."""

from edgegitops.cli.main import main

if __name__ == "__main__":
    main()
