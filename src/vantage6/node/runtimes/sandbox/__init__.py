"""The sandbox in which algorithms run: kernel namespaces, without any helper program.

This package uses the standard library only and is started by its path, so that it also runs under
an interpreter in which vantage6 is not installed. Its words:

warm parent
    One process per Python interpreter (:mod:`.zygote`). It has imported what algorithms need and
    forks; it never sees a run's data and never imports an algorithm.
supervisor
    One process per run, forked from the warm parent (:mod:`.supervisor`). Trusted; makes the
    namespaces, watches the limits, writes down how the run ended.
algorithm
    The supervisor's child (:mod:`.inside`), process 1 of its own process namespace. Untrusted.
"""
