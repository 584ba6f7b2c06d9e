"""``v6 demo``: a whole network on one machine, with made-up patients."""
