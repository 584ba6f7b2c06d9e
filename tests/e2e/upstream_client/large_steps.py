"""Sends a large text to a node and reads it back: the same with the upstream client and ours.

python large_steps.py <ready file of a demo> <bytes>
"""

import json
import sys

from vantage6.client import Client

with open(sys.argv[1]) as file:
    demo = json.load(file)
size = int(sys.argv[2])
server = demo["server"]
user = next(each for each in demo["users"] if "Researcher" in each["roles"])
client = Client(server["url"], server["port"], server["api_path"], log_level="error")
client.authenticate(user["username"], user["password"])
keys = {each["id"]: each.get("private_key") for each in demo["organizations"]}
client.setup_encryption(keys[user["organization_id"]])
enabled = client.check_if_blob_store_enabled()
task = client.task.create(
    collaboration=demo["collaboration"]["id"],
    organizations=[each["id"] for each in demo["organizations"]],
    name="large",
    image="example.org/echo",
    description="",
    input_={"method": "echo", "kwargs": {"text": "x" * size}},
)
results = client.wait_for_results(task["id"])["data"]
texts = [json.loads(result["result"]) for result in results]
assert [len(text) for text in texts] == [size] * len(demo["organizations"])
listed = client.run.from_task(task_id=task["id"])["data"]
print(
    json.dumps(
        {
            "enabled": enabled,
            "input apart": [run["blob_storage_used"] for run in listed],
            "result apart": [result["blob_storage_used"] for result in results],
        }
    )
)
