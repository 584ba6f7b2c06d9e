"""The lesson's steps and their surroundings, for any client of the 4.15 contract.

``python steps.py READY_FILE OUTCOME_FILE [STEP ...]`` uses whichever ``vantage6.client`` its
interpreter has, by its public interface only, and writes what each step gave as JSON.
"""

import json
import sys
from pathlib import Path

from vantage6.client import Client

AVERAGE = "harbor2.vantage6.ai/demo/average"


def main(ready_file, outcome_file, *names):
    demo = json.loads(Path(ready_file).read_text())
    outcome = {}
    steps = (looking_around, administration, refusals, tasks)
    try:
        for step in steps:
            if names and step.__name__ not in names:
                continue
            print(f"== {step.__name__}", flush=True)
            step(demo, outcome)
    finally:
        Path(outcome_file).write_text(json.dumps(outcome, default=repr))


def log_in(demo, role):
    user = next(each for each in demo["users"] if role in each["roles"])
    server = demo["server"]
    client = Client(server["url"], server["port"], server["api_path"], log_level="debug")
    client.authenticate(user["username"], user["password"])
    keys = {each["id"]: each.get("private_key") for each in demo["organizations"]}
    client.setup_encryption(keys.get(user["organization_id"]))
    return client


def looking_around(demo, outcome):
    client = log_in(demo, "Researcher")
    collaboration = demo["collaboration"]["id"]
    outcome["who I am"] = list(client.whoami)
    outcome["version"] = client.util.get_server_version()
    outcome["health"] = client.util.get_server_health()
    outcome["my organization"] = client.organization.get()
    outcome["organizations"] = client.organization.list()
    outcome["organizations of the collaboration"] = client.organization.list(
        collaboration=collaboration, fields=["id", "name"]
    )
    outcome["organizations by name"] = client.organization.list(
        filter_=("name", demo["organizations"][1]["name"])
    )
    outcome["collaborations"] = client.collaboration.list()
    outcome["collaborations cut"] = client.collaboration.list(
        fields=["id", "name", "organizations"]
    )
    outcome["collaboration"] = client.collaboration.get(collaboration)
    outcome["nodes"] = client.node.list(collaboration=collaboration)
    outcome["nodes cut"] = client.node.list(
        collaboration=collaboration, fields=["id", "name", "status"]
    )
    outcome["nodes online"] = client.node.list(
        collaboration=collaboration, is_online=True, field="name"
    )
    outcome["nodes of an organization"] = client.node.list(
        organization=demo["organizations"][2]["id"], fields=["id"]
    )
    outcome["node"] = client.node.get(demo["nodes"][0]["id"])
    outcome["studies"] = client.study.list(include_organizations=True)
    outcome["study"] = client.study.get(demo["study"]["id"])
    outcome["organizations of the study"] = client.organization.list(
        study=demo["study"]["id"], field="id"
    )
    outcome["me"] = client.user.get(fields=["id", "username", "firstname", "organization"])
    outcome["users"] = client.user.list(fields=["username"])
    outcome["roles"] = client.role.list(include_root=True, fields=["name"])
    outcome["rules"] = client.rule.list(name="task", fields=["operation", "scope"])
    outcome["rule page"] = client.rule.list(page=2, per_page=3)
    client.setup_collaboration(collaboration)
    outcome["organizations by default"] = client.organization.list(field="id")


def administration(demo, outcome):
    client = log_in(demo, "Root")
    new = client.organization.create(
        name="new_organization",
        address1="street 1",
        address2="",
        zipcode="1234AB",
        country="NL",
        domain="example.com",
    )
    outcome["created organization"] = new
    outcome["updated organization"] = client.organization.update(new["id"], name="new_name")
    collaboration = client.collaboration.create("a collaboration", [new["id"]], encrypted=False)
    outcome["created collaboration"] = collaboration
    outcome["updated collaboration"] = client.collaboration.update(
        collaboration["id"], name="another name"
    )
    member = demo["organizations"][0]["id"]
    outcome["added organization"] = client.collaboration.add_organization(
        member, collaboration["id"]
    )
    outcome["removed organization"] = client.collaboration.remove_organization(
        member, collaboration["id"]
    )
    study = client.study.create("a study", [new["id"]], collaboration["id"])
    outcome["created study"] = study
    outcome["updated study"] = client.study.update(study["id"], name="another study")
    rules = [rule["id"] for rule in client.rule.list(name="node", fields=["id"])]
    role = client.role.create("a role", "looks", rules, new["id"])
    outcome["created role"] = role
    outcome["updated role"] = client.role.update(role["id"], name="an onlooker", rules=rules[:1])
    user = client.user.create(
        "bob", "Bob", "B", "Wachtw00rd!", "bob@example.com", new["id"], roles=[role["id"]]
    )
    outcome["created user"] = user
    outcome["updated user"] = client.user.update(user["id"], lastname="Bobson")
    node = client.node.create(collaboration["id"], new["id"])
    outcome["created node"] = sorted(node)
    outcome["updated node"] = client.node.update(node["id"], name="a node")

    server = demo["server"]
    bob = Client(server["url"], server["port"], server["api_path"], log_level="debug")
    bob.authenticate("bob", "Wachtw00rd!")
    outcome["changed password"] = bob.util.change_my_password("Wachtw00rd!", "Passw00rd!")
    bob.authenticate("bob", "Passw00rd!")

    outcome["deleted"] = [
        client.node.delete(node["id"]),
        client.user.delete(user["id"]),
        client.role.delete(role["id"]),
        client.study.delete(study["id"]),
        client.collaboration.delete(collaboration["id"]),
        client.organization.delete(new["id"]),
    ]
    outcome["gone"] = client.organization.get(new["id"])


def refusals(demo, outcome):
    server = demo["server"]
    stranger = Client(server["url"], server["port"], server["api_path"], log_level="debug")
    try:
        stranger.authenticate("researcher", "wrong password")
    except Exception as error:
        outcome["wrong password"] = type(error).__name__
    viewer = log_in(demo, "Viewer")
    organizations = [each["id"] for each in demo["organizations"]]
    outcome["viewer's task"] = create(viewer, demo, organizations)
    outcome["viewer's organization"] = viewer.organization.create("x", "", "", "", "", "")
    researcher = log_in(demo, "Researcher")
    outcome["no collaboration"] = create(researcher, demo, organizations, collaboration=9999)
    outcome["no organization"] = create(researcher, demo, [9999])
    outcome["no node"] = create(researcher, demo, [1])
    outcome["nobody"] = create(researcher, demo, [])
    outcome["no task"] = researcher.task.get(9999)
    outcome["no run"] = researcher.run.get(9999, decrypt_input=False)


def tasks(demo, outcome):
    client = log_in(demo, "Researcher")
    organizations = [each["id"] for each in demo["organizations"]]
    task = create(client, demo, organizations)
    outcome["task"] = task
    results = client.wait_for_results(task["id"])
    outcome["partial"] = read(results)
    outcome["results again"] = client.result.from_task(task_id=task["id"])
    outcome["one result"] = client.result.get(results["data"][0]["id"])
    outcome["runs"] = client.run.from_task(task["id"])
    outcome["finished task"] = client.task.get(task["id"])
    outcome["tasks"] = client.task.list(
        collaboration=demo["collaboration"]["id"], fields=["status", "image"], per_page=1
    )

    task = create(client, demo, organizations[:1], method="central_average")
    outcome["central"] = read(client.wait_for_results(task["id"]))
    outcome["subtasks"] = client.task.list(parent=task["id"], fields=["status"])

    task = create(client, demo, organizations, kwargs={"column_name": "no such column"})
    outcome["failed"] = read(client.wait_for_results(task["id"]))
    outcome["failed task"] = client.task.get(task["id"])["status"]
    outcome["failed runs"] = sorted(
        run["status"] for run in client.run.from_task(task["id"])["data"]
    )
    outcome["why"] = [run["log"] for run in client.run.from_task(task["id"])["data"]]

    task = create(client, demo, organizations, image="example.org/unknown/image")
    client.wait_for_results(task["id"])
    # The first node that says so closes the runs that the others have not begun.
    states = {run["status"] for run in client.run.from_task(task["id"])["data"]}
    outcome["unknown image"] = sorted(states - {"failed"})
    outcome["killed too late"] = bool(client.task.kill(task["id"]) or True)
    client.task.delete(task["id"])
    outcome["deleted task"] = client.task.get(task["id"])


def create(client, demo, organizations, method="partial_average", kwargs=None, **changes):
    return client.task.create(
        **{
            "collaboration": demo["collaboration"]["id"],
            "organizations": organizations,
            "name": "a task of the lesson",
            "image": AVERAGE,
            "description": "",
            "input_": {
                "method": method,
                "args": [],
                "kwargs": kwargs or {"column_name": "age"},
            },
            "databases": [{"label": "default"}],
            **changes,
        }
    )


def read(results):
    """Results in the order of their runs, parsed."""
    ordered = sorted(results["data"], key=lambda each: each["id"])
    return [json.loads(each["result"]) if each["result"] else None for each in ordered]


if __name__ == "__main__":
    main(*sys.argv[1:])
