"""Step 3: which collaborations am I in, and who else is? Most calls want ids, not names."""

from client import client

collaborations = client.collaboration.list(fields=["id", "name"])
print("Collaborations:", collaborations)

collaboration = collaborations[0]["id"]
organizations = client.organization.list(collaboration=collaboration, fields=["id", "name"])
print(f"Organizations in collaboration {collaboration}:", organizations)
