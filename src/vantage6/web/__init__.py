"""What both web services share."""

from vantage6.web import paths

# Before any route is declared: a route looks up its converters when it is made.
paths.register()
