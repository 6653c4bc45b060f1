"""A throw-away certificate authority: the client insists on HTTPS, and a laptop has no certificate."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

import trustme

CA_FILE = "ca.pem"
_SERVER_FILE = "server.pem"
_HOSTS_FILE = "hosts.txt"


def server_context(folder: Path, hosts: Sequence[str]) -> ssl.SSLContext:
    """TLS context of a server, with certificates made on first use and kept in `folder`.

    Parameters
    ----------
    folder
        Gets ``ca.pem`` (for clients to trust) and ``server.pem`` (key and certificate, readable by
        the owner only). Kept, so that a restarted emulator is trusted by its old clients.
    hosts
        Names and addresses that the certificate is for; if they differ from last time, a new authority is made.
    """
    ca_file, server_file, hosts_file = folder / CA_FILE, folder / _SERVER_FILE, folder / _HOSTS_FILE
    wanted = "\n".join(hosts)
    if not hosts_file.exists() or hosts_file.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA(organization_name="millrace Salesforce emulator")
        server_file.touch(mode=0o600)
        authority.issue_cert(*hosts).private_key_and_cert_chain_pem.write_to_path(server_file)
        authority.cert_pem.write_to_path(ca_file)
        hosts_file.write_text(wanted)  # last: it vouches for the other two
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_file)
    return context
