"""Calls every public method of a client of the 4.15 contract, and writes down what each gave.

``python calls.py WORLD_FILE OUTCOME_FILE`` uses whichever ``vantage6.client`` its interpreter has,
by its public interface only. The world file says where a server is whose ``root`` may do
everything, and of what else there is: a store, a folder with mails, a node that is online.
"""

import inspect
import json
import logging
import re
import sys
import time
from pathlib import Path

import jwt

from vantage6.client import Client

GROUPS = (
    *("", "util", "collaboration", "organization", "user", "role", "rule", "node", "study"),
    *("task", "run", "result", "event", "store", "algorithm"),
    *("store.role", "store.rule", "store.user", "store.policy", "store.review"),
)
PASSWORD = "Wachtw00rd!"
TOKEN = re.compile(r"ey[\w-]+\.[\w-]+\.[\w-]+")


def owner_of(client, group):
    for part in filter(None, group.split(".")):
        client = getattr(client, part)
    return client


def public_methods(client):
    names = []
    for group in GROUPS:
        if group and not hasattr(client, group.partition(".")[0]):
            continue  # of our client only
        kind = type(owner_of(client, group))
        for name, _ in inspect.getmembers(kind, inspect.isfunction):
            if not name.startswith("_"):
                names.append(f"{group}.{name}".lstrip("."))
    return names


class Refusals(logging.Handler):
    """Both clients log the status of every answer that is an error."""

    def __init__(self):
        super().__init__()
        self.codes = []

    def emit(self, record):
        found = re.search(r"Server responded with error code: (\d+)", record.getMessage())
        if found:
            self.codes.append(int(found[1]))


class Caller:
    """A client whose calls are written down."""

    def __init__(self, world, outcome):
        self.client = Client(world["url"], world["port"], "/api", log_level="info")
        self.outcome = outcome
        self.refusals = Refusals()

    def __call__(self, called, /, *args, **kwargs):
        group, _, method = called.rpartition(".")
        self.refusals.codes.clear()
        # Each time: the upstream client throws out all handlers of the root logger when it starts.
        for name in ("", "vantage6.client"):
            logging.getLogger(name).addHandler(self.refusals)
        value = raised = None
        try:
            value = getattr(owner_of(self.client, group), method)(*args, **kwargs)
            if inspect.isgenerator(value):
                value = list(value)
            if type(value).__name__ == "DataFrame":
                value = value.to_dict("list")
        except Exception as error:
            raised = f"{type(error).__name__}: {error}"
        self.outcome.append(
            {
                "method": called,
                "value": value,
                "raised": raised,
                "refused": sorted(set(self.refusals.codes)),
            }
        )
        print(f"== {called}: {raised or self.refusals.codes or value!r}"[:600], flush=True)
        return value if isinstance(value, dict | list) else {}

    def has(self, name):
        group, _, method = name.rpartition(".")
        return hasattr(owner_of(self.client, group), method)

    def has_group(self, name):
        return hasattr(self.client, name)


def main(world_file, outcome_file):
    world = json.loads(Path(world_file).read_text())
    outcome = []
    call = Caller(world, outcome)
    try:
        call("authenticate", "root", world["password"])
        made = basics(call, world)
        work(call, made)
        accounts(call, world, made)
        store(call, world, made)
        ends(call, made)
    finally:
        document = {"methods": public_methods(call.client), "calls": outcome}
        Path(outcome_file).write_text(json.dumps(document, default=repr))


def basics(call, world):
    call("generate_path_to", "version", False)
    call("request", "version")
    call("refresh_token")
    call("check_if_blob_store_enabled")
    call("util.get_server_version")
    call("util.get_server_health")
    call("setup_encryption", None)
    made = {"own": call.client.whoami.organization_id}
    address = ("Street 1", "", "1234AB", "NL", "example.org")
    made["organization"] = call("organization.create", "An organization", *address).get("id")
    made["other"] = call("organization.create", "Another", *address).get("id")
    call("organization.get")
    call("organization.list", fields=["id", "name"])
    call("organization.update", made["organization"], name="Its new name")
    made["collaboration"] = call(
        "collaboration.create", "A collaboration", [made["own"], made["organization"]], False
    ).get("id")
    call("collaboration.get", made["collaboration"])
    call("collaboration.list", scope="global")
    call("collaboration.update", made["collaboration"], name="Its new name")
    call("collaboration.add_organization", made["other"], made["collaboration"])
    call("collaboration.remove_organization", made["other"], made["collaboration"])
    call("setup_collaboration", made["collaboration"])
    made["study"] = call("study.create", "A study", [made["own"]], made["collaboration"]).get("id")
    call("study.get", made["study"])
    call("study.list", include_organizations=True)
    call("study.update", made["study"], name="Its new name")
    call("study.add_organization", made["organization"], made["study"])
    call("study.remove_organization", made["organization"], made["study"])
    rules = call("rule.list", name="node", per_page=5)
    call("rule.get", rules["data"][0]["id"])
    ids = [rule["id"] for rule in rules["data"]]
    made["role"] = call("role.create", "A role", "looks", ids, made["own"]).get("id")
    call("role.get", made["role"])
    call("role.list", name="A role")
    call("role.update", made["role"], "Its new name", "looks at", ids[:2])
    made["user"] = call(
        *("user.create", "bob", "Bob", "B", PASSWORD, "bob@example.org", made["own"]),
        roles=[made["role"], call("role.list", name="Researcher")["data"][0]["id"]],
        rules=[],
    ).get("id")
    call("user.get")
    call("user.list", username="bob")
    call("user.update", made["user"], lastname="Bobson")
    made["node"] = call("node.create", made["collaboration"], made["own"]).get("id")
    call("node.create", made["collaboration"], made["organization"])
    call("node.get", made["node"])
    call("node.list", collaboration=made["collaboration"])
    call("node.update", made["node"], name="its new name")
    call("node.kill_tasks", world.get("online_node") or made["node"])
    for group in ("organization", "collaboration", "study", "rule", "role", "user", "node"):
        if call.has(f"{group}.iterate"):
            call(f"{group}.iterate", per_page=2)
    return made


def work(call, made):
    task = call(
        "task.create",
        [made["own"], made["organization"]],
        "a task",
        "harbor2.vantage6.ai/demo/average",
        "",
        {"method": "partial_average", "kwargs": {"column_name": "age"}},
        collaboration=made["collaboration"],
        databases=[{"label": "default"}],
    ).get("id")
    call("task.get", task)
    call("task.list", name="a task")
    runs = call("run.from_task", task)
    call("run.list", task=task)
    call("run.get", runs["data"][0]["id"])
    call("result.get", runs["data"][0]["id"])
    call("task.kill", task)
    call("wait_for_task_completion", call.client.request, task)
    call("wait_for_results", task)
    call("result.from_task", task)
    if call.has("result.to_frame"):
        call("result.to_frame", task)
        call("task.iterate")
        call("run.iterate", task=task)
    if call.has_group("event"):
        call("event.list")
        call("event.iterate", 0)
    call("task.delete", task)


def accounts(call, world, made):
    bob = Caller(world, call.outcome)
    bob("authenticate", "bob", PASSWORD)
    bob("util.change_my_password", PASSWORD, "N1euw!wachtwoord")
    token = mailed_token(bob, world, made)
    bob("util.reset_my_password", username="bob")
    bob("util.set_my_password", token(), PASSWORD)
    bob("authenticate", "bob", PASSWORD)
    token = mailed_token(bob, world, made)
    bob("util.reset_two_factor_auth", PASSWORD, username="bob")
    bob("util.set_two_factor_auth", token())
    key = str(Path(world["folder"]) / "private_key.pem")
    call("util.generate_private_key", key)
    call("setup_encryption", key)
    if call.has("util.fingerprint"):
        call("util.fingerprint")
        call("util.known_fingerprints")
        call("util.forget_fingerprint", made["organization"])
    call("setup_encryption", None)


def mailed_token(call, world, made):
    """Makes a function that returns the token of the mail that comes next."""
    folder = Path(world["mails"])
    seen = set(folder.glob("*.eml"))

    def minted():
        # The upstream server from PyPI lacks the templates of its mails, so it sends none.
        now = int(time.time())
        claims = {
            "fresh": False,
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "jti": "of-a-mail",
            "type": "access",
            "client_type": "container",
            "sub": {"id": str(made["user"])},
        }
        return jwt.encode(claims, world["secret"], algorithm="HS256")

    def received():
        asked = call.outcome[-1]
        deadline = time.monotonic() + (0 if asked["raised"] or asked["refused"] else 30)
        while time.monotonic() < deadline:
            for mail in set(folder.glob("*.eml")) - seen:
                text = mail.read_text().replace("=\n", "").replace("=3D", "=")
                if found := TOKEN.search(text):
                    return found[0]
            time.sleep(0.1)
        return "no mail came"

    return minted if world.get("secret") else received


def store(call, world, made):
    url = world.get("store") or "http://127.0.0.1:9/api"
    id_ = call("store.create", url, "a store", all_collaborations=True, force=True).get("id")
    call("store.list")
    call("store.get", id_)
    call("store.update", id_, name="its new name")
    call("store.set", id_)
    if call.has("store.iterate"):
        call("store.iterate")
    if not call.client.store.url:
        return
    call("store.policy.get")
    call("store.policy.get", public=True)
    rules = call("store.rule.list")
    role = call(
        "store.role.create", "a role", "looks", [rule["id"] for rule in rules["data"][:2]]
    ).get("id")
    call("store.role.list", name="a role")
    call("store.role.edit", role, name="its new name")
    call("store.user.list")
    user = call("store.user.register", "bob", [role]).get("id")
    call("store.user.get", user)
    reviewer = [one["id"] for one in call("store.role.list")["data"] if one["name"] == "Reviewer"]
    call("store.user.update", user, reviewer)
    bob = Caller(world, call.outcome)
    bob("authenticate", "bob", PASSWORD)
    bob("store.set", id_)
    functions = [
        {"name": "f", "type": "federated", "databases": [{"name": "default"}], "arguments": []}
    ]
    image = f"{world['registry']}/demo/average"
    algorithms = [
        call(
            *("algorithm.create", f"an algorithm {number}", "", f"{image}{number}", "horizontal"),
            *("4.15.2", "https://example.org/code", functions),
        ).get("id")
        for number in range(3)
    ]
    call("algorithm.get", algorithms[0])
    call("algorithm.list", in_review_process=True)
    call("algorithm.update", algorithms[0], description="a description", image=f"{image}0")
    reviews = [call("store.review.create", algorithm, user).get("id") for algorithm in algorithms]
    call("store.review.get", reviews[0])
    call("store.review.list", algorithm=algorithms[0])
    bob("store.review.approve", reviews[0], comment="fine")
    bob("store.review.reject", reviews[1], "not fine")
    call("store.review.delete", reviews[2])
    call("algorithm.invalidate", algorithms[0])
    call("algorithm.delete", algorithms[1])
    for group in ("algorithm", "store.rule", "store.role", "store.user", "store.review"):
        if call.has(f"{group}.iterate"):
            call(f"{group}.iterate", per_page=2)
    call("store.user.delete", user)
    call("store.role.delete", role)
    call("store.delete", id_)


def ends(call, made):
    if call.has("close"):
        call("close")
    call("node.delete", made["node"])
    call("user.delete", made["user"])
    call("role.delete", made["role"])
    call("study.delete", made["study"])
    call("collaboration.delete", made["collaboration"], delete_dependents=True)
    call("organization.delete", made["other"])


if __name__ == "__main__":
    main(*sys.argv[1:])
