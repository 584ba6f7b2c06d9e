"""The ``v6`` command: thin, and importing a role only when a command of that role runs."""
