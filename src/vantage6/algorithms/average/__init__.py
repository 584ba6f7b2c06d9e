"""The average of a column over data stations, none of which shows its records."""

from vantage6.algorithms.average.central import central_average
from vantage6.algorithms.average.partial import partial_average

__all__ = ["central_average", "partial_average"]
