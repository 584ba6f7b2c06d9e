"""Large payloads: blobs, and the runs that need them

Revision: 0003
Follows: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blob",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blob")),
    )
    op.create_index(op.f("ix_blob_state"), "blob", ["state"])
    op.create_table(
        "attachment",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("blob_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_attachment_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name=op.f("fk_attachment_blob_id")),
        sa.PrimaryKeyConstraint("run_id", "blob_id", name=op.f("pk_attachment")),
    )
    op.create_index(op.f("ix_attachment_blob_id"), "attachment", ["blob_id"])
    # Whether a payload is in the store can be told from the payload, for input and result apart.
    op.drop_column("run", "blob_storage_used")
