"""What a steward compares by telephone: the fingerprints of organizations' keys."""

from __future__ import annotations

import typer

from vantage6.cli.asking import leave
from vantage6.cli.node.instances import Instance
from vantage6.common.encryption import RSACryptor
from vantage6.common.messages import info, warning
from vantage6.common.sealing import KnownKeys, OwnKeys, SealError


def show_keys(instance: Instance) -> None:
    """Print a node's own fingerprint and those of the organizations that it knows.

    Raises
    ------
    typer.Exit
        If the node has no key, or what it knows cannot be read.
    """
    config = instance.config
    if not config.encryption.enabled:
        leave("This node's collaboration is not encrypted: there are no keys to compare")
    try:
        own = OwnKeys.derive(RSACryptor(config.private_key).private_key)
        peers = _known(instance).peers()
    except (OSError, ValueError) as problem:
        leave(str(problem))
    typer.echo(f"{'own':>6}  {own.public.fingerprint}")
    trusted = config.encryption.trusted
    for peer in peers:
        if peer.keys == own.public:
            continue
        how = "compared" if peer.organization in trusted else f"first met {peer.since}"
        typer.echo(f"{peer.organization:>6}  {peer.keys.fingerprint}  {how}")
    met = {peer.organization for peer in peers}
    for organization in sorted(set(trusted) - met):
        typer.echo(f"{organization:>6}  {trusted[organization]}  trusted, not met yet")


def forget_keys(instance: Instance, organization: int) -> None:
    """Forget an organization's keys.

    Raises
    ------
    typer.Exit
        If they are not known, or what is known cannot be changed.
    """
    try:
        known = _known(instance).forget(organization)
    except SealError as problem:
        leave(str(problem))
    if not known:
        leave(f"Organization {organization} is not known to this node")
    info(f"The keys of organization {organization} are forgotten: the next ones are accepted")
    if organization in instance.config.encryption.trusted:
        warning("encryption.trusted in the configuration still names its fingerprint")


def _known(instance: Instance) -> KnownKeys:
    return KnownKeys(instance.config.known_keys, instance.config.api_url)
