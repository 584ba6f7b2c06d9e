"""Sending a letter by SMTP."""

from __future__ import annotations

import html
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from vantage6.server.config import Smtp

_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Code:
    """A paragraph to copy, such as a token."""

    text: str


@dataclass(frozen=True)
class Letter:
    """What one person is told."""

    subject: str
    paragraphs: Sequence[str | Code]

    def text(self) -> str:
        """As plain text."""
        parts = [part.text if isinstance(part, Code) else part for part in self.paragraphs]
        return "\n\n".join(parts) + "\n"

    def html(self) -> str:
        """As HTML; whatever people call themselves stays text."""
        parts = []
        for part in self.paragraphs:
            if isinstance(part, Code):
                parts.append(f'<pre style="white-space:pre-wrap">{html.escape(part.text)}</pre>')
            else:
                parts.append(f"<p>{html.escape(part)}</p>")
        return "<!DOCTYPE html>\n<html><body>\n" + "\n".join(parts) + "\n</body></html>\n"

    def message(self, sender: str, recipient: str) -> EmailMessage:
        """As a message with both parts."""
        message = EmailMessage()
        message["Subject"] = self.subject
        message["From"] = sender
        message["To"] = recipient
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or None)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self.text())
        message.add_alternative(self.html(), subtype="html")
        return message


def send(smtp: Smtp, recipient: str, letter: Letter) -> None:
    """Hand a letter to the mail server. Takes seconds: for a thread of its own.

    Raises
    ------
    OSError, smtplib.SMTPException
        If it does not take it.
    ValueError
        If an address is none.
    """
    message = letter.message(smtp.email_from, recipient)
    with _connect(smtp) as connection:
        if smtp.username and smtp.password:
            connection.login(smtp.username, smtp.password)
        connection.send_message(message)


def _connect(smtp: Smtp) -> smtplib.SMTP:
    if not smtp.use_ssl and not smtp.use_tls:
        return smtplib.SMTP(smtp.server, smtp.port, timeout=_TIMEOUT_SECONDS)
    context = ssl.create_default_context()
    if smtp.ca_file:
        context.load_verify_locations(smtp.ca_file)
    if smtp.use_ssl:
        return smtplib.SMTP_SSL(smtp.server, smtp.port, timeout=_TIMEOUT_SECONDS, context=context)
    connection = smtplib.SMTP(smtp.server, smtp.port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.starttls(context=context)
    except BaseException:
        connection.close()
        raise
    return connection
