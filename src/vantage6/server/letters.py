"""The texts of the mails that the server sends about accounts."""

from __future__ import annotations

from datetime import datetime

from vantage6.server.config import ServerConfig
from vantage6.server.mail import Code, Letter


def password_reset(config: ServerConfig, name: str, token: str) -> Letter:
    """A token to set a new password with."""
    return Letter(
        "Password reset vantage6",
        [
            f"Dear {name},",
            "Somebody, presumably you, asked to reset the password of your vantage6 account. Set a "
            "new one with this token:",
            Code(token),
            "In the web page, paste it where it asks for it. In Python: "
            "client.util.set_my_password(token, new_password)",
            f"{_validity(config)} Setting a new password logs you out everywhere else.",
            f"If it was not you, you need do nothing. {_support(config)}",
        ],
    )


def second_factor_reset(config: ServerConfig, name: str, token: str) -> Letter:
    """A token to set up a new second factor with."""
    return Letter(
        "Two-factor authentication reset vantage6",
        [
            f"Dear {name},",
            "Somebody who knows your password asked to reset the two-factor authentication of your "
            "vantage6 account. Set it up anew with this token:",
            Code(token),
            "In the web page, paste it where it asks for it. In Python: "
            "client.util.set_two_factor_auth(token)",
            f"{_validity(config)} It logs you out everywhere.",
            f"If it was not you, change your password at once. {_support(config)}",
        ],
    )


def account_blocked(config: ServerConfig, name: str, address: str, moment: datetime) -> Letter:
    """The account is closed for a while after wrong passwords."""
    policy = config.password_policy
    return Letter(
        "Failed login attempts on your vantage6 account",
        [
            f"Dear {name},",
            f"Logging in to your vantage6 account failed {policy.max_failed_attempts} times or "
            "more, so it is blocked for now.",
            f"The last attempt came from {address} at {moment:%Y-%m-%d %H:%M:%S} UTC.",
            f"You can log in again in {policy.inactivation_minutes:g} minutes. Setting a new "
            "password by mail unblocks the account at once.",
            f"If it was not you, somebody may be guessing your password. {_support(config)}",
        ],
    )


def _validity(config: ServerConfig) -> str:
    minutes = config.reset_token_validity.total_seconds() / 60
    return f"The token works once, for {minutes:g} minutes."


def _support(config: ServerConfig) -> str:
    return f"Questions: {config.support_email}"
