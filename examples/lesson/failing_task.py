"""Step 7: a task that fails at one node. Which one, and why?

One organization in the demo writes yes/no in the column `isOverweight` where the others write
1/0. Its average is the share of patients who are overweight, where it can be computed.
"""

from client import client
from collaborations import collaboration, organizations

from vantage6.common.task_status import has_task_failed

task = client.task.create(
    collaboration=collaboration,
    organizations=[organization["id"] for organization in organizations],
    name="Share of patients who are overweight",
    image="harbor2.vantage6.ai/demo/average",
    description="",
    input_={"method": "partial_average", "args": [], "kwargs": {"column_name": "isOverweight"}},
    databases=[{"label": "default"}],
)
client.wait_for_results(task["id"])
print("Task status:", client.task.get(task["id"])["status"])

# The task counts as failed as soon as one organization has failed; others may still be at it.
names = {organization["id"]: organization["name"] for organization in organizations}
for run in client.run.from_task(task["id"])["data"]:
    name = names[run["organization"]["id"]]
    print(f"{name}: {run['status']}")
    if has_task_failed(run["status"]):
        print(f"  Failed at {name}, node {run['node']['name']}. Its log says:")
        for line in run["log"].splitlines():
            print("   ", line)
