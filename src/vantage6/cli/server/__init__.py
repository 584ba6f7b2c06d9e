"""`v6 server`."""
