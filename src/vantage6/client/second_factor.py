"""Setting up a second factor: the QR code for an authenticator app."""

from __future__ import annotations

import sys
from collections.abc import Mapping

_EXPLANATION = """
This server asks for a second factor at login, and you have none yet.
Scan this QR code with an authenticator app, then log in again with the code the app shows:
client.authenticate(username, password, mfa_code)
"""


def show_qr_code(answer: Mapping[str, str]) -> None:
    """Print explanation, QR code and secret.

    Parameters
    ----------
    answer : mapping
        The server's answer, with ``qr_uri`` and ``otp_secret``.
    """
    import qrcode

    code = qrcode.QRCode()
    code.add_data(answer["qr_uri"])
    sys.stdout.write(_EXPLANATION)
    code.print_ascii(out=sys.stdout)
    sys.stdout.write(
        f"If you cannot scan it, enter this secret in the app: {answer.get('otp_secret')}\n"
    )
