"""``python -m perfcore`` is the ``perfcore`` command."""

from perfcore.cli import main

if __name__ == "__main__":
    main()
