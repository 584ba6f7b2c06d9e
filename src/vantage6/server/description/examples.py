"""Examples of request bodies, by the name of the body's model."""

from __future__ import annotations

from typing import Any

EXAMPLES: dict[str, Any] = {
    "NewUser": {
        "username": "ada",
        "email": "ada@example.org",
        "password": "Passw0rd!",
        "firstname": "Ada",
        "lastname": "Lovelace",
        "organization_id": 2,
        "roles": [5],
        "rules": [],
    },
    "UserChange": {"email": "ada@example.org", "roles": [4, 5]},
    "NewOrganization": {"name": "Hospital Utrecht", "country": "NL", "domain": "utrecht.nl"},
    "OrganizationChange": {"public_key": "LS0tLS1CRUdJTg=="},
    "NewCollaboration": {"name": "heart", "organization_ids": [2, 3], "encrypted": True},
    "CollaborationChange": {"name": "heart and lungs"},
    "NewStudy": {"name": "women", "collaboration_id": 1, "organization_ids": [2, 3]},
    "StudyChange": {"organization_ids": [2]},
    "NewNode": {"collaboration_id": 1, "organization_id": 2, "name": "Utrecht"},
    "NodeChange": {"name": "Utrecht 2"},
    "NewTask": {
        "collaboration_id": 1,
        "name": "average age",
        "image": "harbor2.vantage6.ai/demo/average",
        "databases": [{"label": "default"}],
        "organizations": [{"id": 2, "input": "eyJtZXRob2QiOiAiY2VudHJhbF9hdmVyYWdlIn0="}],
    },
    "RunChange": {"status": "active", "started_at": "2026-01-31T12:00:00.123456"},
    "NewRole": {"name": "steward", "description": "sees nodes", "rules": [3], "organization_id": 2},
    "RoleChange": {"rules": [2, 3]},
    "NewStore": {
        "name": "our store",
        "algorithm_store_url": "https://store.example.org/api",
        "collaboration_id": 1,
        "server_url": "https://v6.example.org/api",
    },
    "StoreChange": {"name": "store of everybody", "collaboration_id": None},
    "NewPort": {"port": 8888, "run_id": 12, "label": "com"},
    "VpnConfig": {"vpn_config": "client\ndev tun\n"},
    "ColumnRequest": {
        "db_label": "default",
        "collaboration_id": 1,
        "organizations": [{"id": 2, "input": "eyJtZXRob2QiOiAiY29sdW1uX2hlYWRlcnMifQ=="}],
    },
    "Reference": {"id": 3},
    "Credentials": {"username": "ada", "password": "Passw0rd!", "mfa_code": "123456"},
    "ApiKey": {"api_key": "5c9e1c3e-0d0a-4a7a-9d53-2f3f1f0f7a11"},
    "ContainerRequest": {"task_id": 5, "image": "harbor2.vantage6.ai/demo/average"},
    "Account": {"username": "ada"},
    "LostSecondFactor": {"username": "ada", "password": "Passw0rd!"},
    "MailedToken": {"reset_token": "eyJhbGciOiJIUzI1NiJ9.e30.x"},
    "NewPassword": {"reset_token": "eyJhbGciOiJIUzI1NiJ9.e30.x", "password": "Better-passw0rd!"},
    "PasswordChange": {"current_password": "Passw0rd!", "new_password": "Better-passw0rd!"},
}
