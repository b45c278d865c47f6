"""`python -m openpoint` is the command `openpoint`."""

from openpoint.cli import main

if __name__ == "__main__":
    main()
