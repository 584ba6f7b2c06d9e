"""Accounts: ended tokens, used codes, made-up passwords, mails for a lost second factor

Revision: 0002
Follows: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("last_email_recover_2fa_sent", sa.DateTime(), nullable=True),
        sa.Column("otp_last_step", sa.Integer(), nullable=True),
        sa.Column("token_generation", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("spared_login", sa.String(length=36), nullable=True),
        sa.Column("password_made_up", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("user", column)


def downgrade() -> None:
    for name in (
        "password_made_up",
        "spared_login",
        "token_generation",
        "otp_last_step",
        "last_email_recover_2fa_sent",
    ):
        op.drop_column("user", name)
