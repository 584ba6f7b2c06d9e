"""Hardly anything: for measuring what a run costs."""


def one() -> int:
    return 1
