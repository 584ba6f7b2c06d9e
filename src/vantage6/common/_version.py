"""The one place that names the version; every room's ``__version__`` is this one."""

__version__ = "4.15.2"
