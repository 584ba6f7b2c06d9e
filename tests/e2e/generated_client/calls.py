"""Calls a server by a client that was generated from its description of the API.

``python calls.py WORLD_FILE OUTCOME_FILE``, in an environment that has what the generated client
needs. Writes down, per call, the status, the type that was made of the answer, and whether that
type holds all of the answer.
"""

import asyncio
import base64
import importlib
import inspect
import io
import json
import pkgutil
import sys
from pathlib import Path

outcome = {}


def call(api, client, *args, name=None, **kwargs):
    """Call one operation; gives what the client made of the answer."""
    answer = api.sync_detailed(*args, client=client, **kwargs)
    return note(name or api.__name__.rpartition(".")[2], answer)


def note(name, answer):
    parsed, whole = answer.parsed, None
    if hasattr(parsed, "to_dict"):
        # Times are parsed or not as the description has it; the content must be the same.
        whole = json.loads(json.dumps(parsed.to_dict(), default=str)) == json.loads(answer.content)
    outcome[name] = {
        "status": int(answer.status_code),
        "type": type(parsed).__name__,
        "whole": whole,
        "answer": answer.content.decode(errors="replace")[:2000],
    }
    print(name, outcome[name]["status"], outcome[name]["answer"][:300], flush=True)
    return parsed


def main(world_file, outcome_file):
    world = json.loads(Path(world_file).read_text())
    sys.path.insert(0, world["package_folder"])
    package = world["package"]

    def part(name):
        return importlib.import_module(f"{package}.{name}")

    def model(name):
        return getattr(part("models"), name)

    open_client = part("client").Client(base_url=world["url"], raise_on_unexpected_status=True)
    login = part("api.token.login_user")
    wrong = model("Credentials")(username="root", password="wrong")
    call(login, open_client, body=wrong, name="wrong password")
    credentials = model("Credentials")(username="root", password=world["password"])
    tokens = call(login, open_client, body=credentials)
    client = part("client").AuthenticatedClient(
        base_url=world["url"], token=tokens.access_token, raise_on_unexpected_status=True
    )

    me = call(part("api.user.get_user"), client, 1)
    own = me.organization.id
    address = model("NewOrganization")(name="Utrecht")
    other = call(part("api.organization.create_organization"), client, body=address).id
    together = model("NewCollaboration")(
        name="both", organization_ids=[own, other], encrypted=False
    )
    collaboration = call(part("api.collaboration.create_collaboration"), client, body=together).id
    for organization in (own, other):
        node = model("NewNode")(collaboration_id=collaboration, organization_id=organization)
        call(part("api.node.create_node"), client, body=node)
    study = model("NewStudy")(
        name="a study", collaboration_id=collaboration, organization_ids=[own]
    )
    call(part("api.study.create_study"), client, body=study)
    task = model("NewTask")(
        name="average",
        image="an/image",
        collaboration_id=collaboration,
        organizations=[
            model("Assignment")(id=id_, input_=base64.b64encode(b"{}").decode())
            for id_ in (own, other)
        ],
        databases=[model("TaskDatabaseBody")(label="default")],
    )
    task = call(part("api.task.create_task"), client, body=task).id
    call(part("api.task.get_task"), client, task)
    call(part("api.task.get_task_status"), client, task)
    runs = call(part("api.run.list_runs"), client, task_id=task, name="runs of a task").data
    call(part("api.run.get_run"), client, runs[0].id)
    call(part("api.event.list_changes"), client, since=0)
    content = part("types").File(payload=io.BytesIO(b"some bytes"))
    blob = call(part("api.blobstream.upload"), client, body=content)
    large = model("NewTask")(
        image="an/image",
        collaboration_id=collaboration,
        organizations=[model("Assignment")(id=own, input_=blob.uuid)],
    )
    call(part("api.task.create_task"), client, body=large, name="large input")
    call(part("api.blobstream.download"), client, blob.uuid)

    # Every list there is, with the defaults that the description names.
    for found in pkgutil.walk_packages(part("api").__path__, f"{package}.api."):
        name = found.name.rpartition(".")[2]
        # The ports of algorithms are for algorithms.
        if name.startswith("list_") and name not in ("list_changes", "list_addresses"):
            operation = importlib.import_module(found.name)
            call(operation, client)
            assert inspect.iscoroutinefunction(operation.asyncio)

    call(part("api.organization.get_organization"), client, 999, name="not found")
    nameless = model("NewStudy")(name="", collaboration_id=collaboration, organization_ids=[own])
    call(part("api.study.create_study"), client, body=nameless, name="refused body")
    stranger = part("client").AuthenticatedClient(base_url=world["url"], token="no token")
    call(part("api.task.list_tasks"), stranger, name="wrong token")
    answer = asyncio.run(
        part("api.organization.list_organizations").asyncio_detailed(client=client)
    )
    note("awaited", answer)
    Path(outcome_file).write_text(json.dumps(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
