"""Health check of a container: exit code 0 if it is healthy, 1 with a reason if not.

    python healthcheck.py URL [COMPONENT]
    python healthcheck.py tcp://HOST:PORT

Standard library only and no import of the project: it runs every few seconds. With COMPONENT
(``metadatabase``, ``dag_processor``, ``triggerer``) the answer of Airflow's health page must call that
component healthy. ``tcp://`` only asks whether something listens. The authority of an ``https``
address is trusted if the environment variable ``SSL_CERT_FILE`` names its certificate.
"""

from __future__ import annotations

import json
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT_S = 8


def problem(url: str, component: str | None = None) -> str | None:
    """Say what is wrong, or None if nothing is."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https", "tcp"):
        return f"url must start with http://, https:// or tcp://, got {url}"
    try:
        if parts.scheme == "tcp":
            socket.create_connection((parts.hostname or "", parts.port or 0), TIMEOUT_S).close()
            return None
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:  # noqa: S310 - no file:, see above
            body = response.read()
        if component is None:
            return None
        status = (json.loads(body).get(component) or {}).get("status")
    except (OSError, ValueError) as error:  # refused, timed out, an error status, not JSON
        return f"{url}: {error}"
    return None if status == "healthy" else f"{component} is {status}"


if __name__ == "__main__":
    found = problem(*sys.argv[1:3])
    sys.exit(found and f"unhealthy: {found}")
