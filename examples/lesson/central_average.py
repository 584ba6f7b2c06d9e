"""Step 6: the same in one call. The central function sends the partial ones out by itself."""

import json

from client import client
from collaborations import collaboration, organizations

central_task = client.task.create(
    collaboration=collaboration,
    # It runs at one organization, and makes a subtask for all of them from there.
    organizations=[organizations[0]["id"]],
    name="Average age",
    image="harbor2.vantage6.ai/demo/average",
    description="",
    input_={"method": "central_average", "args": [], "kwargs": {"column_name": "age"}},
    databases=[{"label": "default"}],
)
results = client.wait_for_results(central_task["id"])
answer = json.loads(results["data"][0]["result"])
print(f"Average over all organizations: {answer['average']}")
