"""``v6 node``: set up, start, stop and look at the nodes of this machine."""
