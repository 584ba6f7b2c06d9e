"""Calls to the algorithm store selected with ``client.store.set``."""
