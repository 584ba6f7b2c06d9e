"""Step 1: connect. Run it as `python -i client.py` and go on by hand with `client`."""

import config

from vantage6.client import Client

client = Client(config.server_url, config.server_port, config.server_api, log_level="info")
client.authenticate(config.username, config.password)
client.setup_encryption(config.organization_key)
