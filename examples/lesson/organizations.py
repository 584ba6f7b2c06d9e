"""Step 2: the basic operations (get, list, create, update), on organizations."""

import uuid

import config
from client import client

from vantage6.client import Client

mine = client.organization.get()
print("My organization:", mine["name"], f"(id {mine['id']}), {mine['country']}")

visible = client.organization.list()
print("Organizations I may see:", [organization["name"] for organization in visible["data"]])

# A researcher may not create organizations; an administrator may.
administrator = Client(
    config.server_url, config.server_port, config.server_api, log_level="critical"
)
administrator.authenticate(config.admin_username, config.admin_password)

created = administrator.organization.create(
    # Names are unique at a server, and this script may be run twice.
    name=f"new_organization_{uuid.uuid4().hex[:8]}",
    address1="street 1",
    address2="",
    zipcode="1234AB",
    country="NL",
    domain="example.com",
)
print("Created:", created["name"], f"(id {created['id']})")

updated = administrator.organization.update(created["id"], name=f"renamed_{created['name']}")
print("Updated:", created["name"], "is now", updated["name"])

administrator.organization.delete(updated["id"])
