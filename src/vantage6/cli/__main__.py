"""``python -m vantage6.cli`` is ``v6``."""

from vantage6.cli.entry import main

if __name__ == "__main__":
    main()
