"""Step 4: are the nodes there? A task for an offline node waits until it comes back."""

from client import client
from collaborations import collaboration

nodes = client.node.list(collaboration=collaboration, fields=["id", "name", "status"])
for node in nodes:
    print(f"Node {node['id']}: {node['name']} is {node['status'] or 'not seen yet'}")
