"""Creates a task and waits for its results, with whichever ``vantage6.client`` its interpreter has.

``python create_task.py NETWORK TASK`` takes two JSON documents, what ``Network.to_json`` gives and
arguments of ``task.create``, and writes results and runs as the last line.
"""

import json
import sys

from vantage6.client import Client

network, arguments = map(json.loads, sys.argv[1:])
client = Client("http://127.0.0.1", network["port"], "/api", log_level="error")
client.authenticate(network["username"], network["password"])
client.setup_encryption(network["private_key"])
task = client.task.create(collaboration=network["collaboration"], **arguments)
results = client.wait_for_results(task["id"])["data"]
runs = client.run.from_task(task["id"])["data"]
print()
print(json.dumps({"task": task["id"], "results": results, "runs": runs}))
