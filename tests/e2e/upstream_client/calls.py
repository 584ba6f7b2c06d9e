"""Makes calls of whichever ``vantage6.client`` its interpreter has.

``python calls.py PORT`` reads one call per line, ``["util.reset_my_password", {"email": …}]``, and
writes ``ANSWER`` and what came of it as JSON.
"""

import json
import sys

from vantage6.client import Client

client = Client("http://127.0.0.1", int(sys.argv[1]), "/api", log_level="info")
for line in sys.stdin:
    name, arguments = json.loads(line)
    call = client
    for part in name.split("."):
        call = getattr(call, part)
    try:
        answer = call(**arguments)
    except Exception as error:
        answer = {"raised": type(error).__name__, "text": str(error)}
    print("\nANSWER", json.dumps(answer), flush=True)
