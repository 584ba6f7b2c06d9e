"""Step 5: the average age at every organization, and over all of them together."""

import json

from client import client
from collaborations import collaboration, organizations

input_ = {
    "method": "partial_average",
    "args": [],
    "kwargs": {"column_name": "age"},
}
average_task = client.task.create(
    collaboration=collaboration,
    organizations=[organization["id"] for organization in organizations],
    name="Average age per organization",
    image="harbor2.vantage6.ai/demo/average",
    description="",
    input_=input_,
    databases=[{"label": "default"}],
)
client.wait_for_results(average_task["id"])
result_info = client.result.from_task(task_id=average_task["id"])

shares = [json.loads(result["result"]) for result in result_info["data"]]
for share in shares:
    print("One organization:", share)
total = sum(share["sum"] for share in shares)
count = sum(share["count"] for share in shares)
print(f"Average over all {len(shares)} organizations: {total / count}")
