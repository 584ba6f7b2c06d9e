"""A node's two secrets: the API key it logs in with, the private key it decrypts with."""

from __future__ import annotations

import sys
from pathlib import Path

from vantage6.cli.asking import answered, leave
from vantage6.cli.node.instances import Instance
from vantage6.cli.node.settings import set_text
from vantage6.client import Client
from vantage6.common.encryption import RSACryptor
from vantage6.common.exceptions import AuthenticationException, ClientError
from vantage6.common.globals import InstanceType
from vantage6.common.messages import error, info, warning
from vantage6.common.places import data_folder


def create_private_key(
    instance: Instance,
    *,
    organization: str | None,
    overwrite: bool,
    upload: bool,
    username: str | None,
) -> Path:
    """Make an organization's private key, put it in the configuration, publish its other half.

    Raises
    ------
    typer.Exit
        If the server does not let the person in, or does not take the key.
    """
    client = None
    if organization is None or upload:
        client = _log_in(instance, username)
    if organization is None:
        if client is None or client.whoami is None:
            leave("The server does not say which organization you belong to: use -o")
        organization = client.whoami.organization_name
    folder = data_folder(InstanceType.NODE, instance.scope)
    if "/" in organization or organization in (".", ".."):
        leave(f"Organization '{organization}' cannot be part of a file name: make the key by hand")
    path = folder / f"privkey_{organization}.pem"
    if path.exists() and not overwrite:
        warning(f"File '{path}' exists already: it is kept. Use --overwrite for a new key")
    else:
        info("Generating new private key, which takes some seconds")
        RSACryptor.create_new_rsa_key(path)
        info(f"Private key written to '{path}'")
    set_text(instance.path, ("encryption", "private_key"), str(path))
    warning(f"Keep a copy of '{path}' in a safe place: what is encrypted for it needs it")
    if upload and client is not None:
        _upload(client, RSACryptor(path))
    else:
        warning("The public key was not uploaded: the node does it when it starts")
    info("[Done]")
    return path


def set_api_key(path: Path, api_key: str | None) -> None:
    """Put another API key into a configuration file.

    Raises
    ------
    typer.Exit
        If it cannot be written.
    """
    if api_key is None:
        if not sys.stdin.isatty():
            leave("Give the key with --api-key")
        import questionary

        api_key = str(answered(questionary.text("Please enter your new API key:")))
    try:
        set_text(path, ("api_key",), api_key.strip())
    except (OSError, ValueError) as problem:
        leave(str(problem))
    info(f"Your new API key has been uploaded to the config file {path}.")


def _log_in(instance: Instance, username: str | None) -> Client:
    if not sys.stdin.isatty() and username is None:
        leave("Logging in needs somebody to ask: use -o with --no-upload, or a terminal")
    config = instance.config
    client = Client(config.server_host, config.server_port, config.api_path, log_level="error")
    try:
        client.authenticate(*_credentials(username))
    except (AuthenticationException, ClientError) as problem:
        error(str(problem))
        leave("Could not log in; use -o with --no-upload to make a key without logging in")
    return client


def _credentials(username: str | None) -> tuple[str, str, str | None]:
    import questionary

    username = username or str(answered(questionary.text("Username:")))
    if not sys.stdin.isatty():
        # For scripts: the password, and after it the code, come on standard input.
        lines = [*sys.stdin.read().splitlines(), "", ""]
        return username, lines[0], lines[1] or None
    password = str(answered(questionary.password("Password:")))
    code = str(answered(questionary.text("MFA code:")))
    return username, password, code or None


def _upload(client: Client, cryptor: RSACryptor) -> None:
    answer = client.organization.update(
        client.whoami.organization_id if client.whoami else None,
        public_key=cryptor.public_key_str,
    )
    if "msg" in answer and "id" not in answer:
        leave(f"The public key could not be uploaded: {answer['msg']}")
    info("Public key uploaded.")
