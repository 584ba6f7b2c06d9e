"""What a container's token says of its task."""

from __future__ import annotations

import base64
import json
from typing import Any

from vantage6.algorithm.tools.exceptions import ClientError


def read_token(token: str) -> dict[str, Any]:
    """Read a container token's subject, without verification: that is for the server.

    Returns
    -------
    dict
        With the keys ``node_id``, ``organization_id``, ``collaboration_id``, ``task_id``,
        ``image``, ``databases`` and, possibly null, ``study_id`` and ``store_id``.

    Raises
    ------
    ClientError
        If this is no container token. The text never quotes it.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        subject = claims["sub"]
    except (IndexError, KeyError, TypeError, ValueError):
        subject = None
    if not isinstance(subject, dict):
        raise ClientError("The node gave no usable container token to the algorithm")
    return subject
