"""What an algorithm's author imports: decorators, loaders, exceptions, the mock client."""

from vantage6.common import __version__

__all__ = ["__version__"]
