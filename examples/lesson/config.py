"""Where the server is and who you are. Put your own values here, or let `v6 demo` provide them."""

import json
import os
from pathlib import Path

server_url = "https://<vantage6-server-address>"
server_port = 443
server_api = "/api"

username = "MY USERNAME"
password = "MY PASSWORD"

# Path to your organization's private key; None if the collaboration is not encrypted.
organization_key = None

# Someone who may create organizations: needed in organizations.py only.
admin_username = "AN ADMINISTRATOR'S USERNAME"
admin_password = "AN ADMINISTRATOR'S PASSWORD"

# `v6 demo` says in a file where it runs and who may log in.
if ready_file := os.environ.get("V6_DEMO_READY_FILE"):
    demo = json.loads(Path(ready_file).read_text())
    server_url = demo["server"]["url"]
    server_port = demo["server"]["port"]
    server_api = demo["server"]["api_path"]

    logins = {role: user for user in demo["users"] for role in user["roles"]}
    researcher = logins["Researcher"]
    username, password = researcher["username"], researcher["password"]
    admin_username, admin_password = logins["Root"]["username"], logins["Root"]["password"]

    keys = {each["id"]: each.get("private_key") for each in demo["organizations"]}
    organization_key = keys[researcher["organization_id"]]
