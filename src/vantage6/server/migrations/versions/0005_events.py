"""When tasks and nodes last changed, which process holds a connection, what request made a task

Revision: 0005
Follows: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "server_process",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_process")),
    )
    with op.batch_alter_table("task", schema=None) as batch_op:
        batch_op.add_column(sa.Column("request_id", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("changed", sa.BigInteger(), nullable=True))
        batch_op.create_index(batch_op.f("ix_task_changed"), ["changed"], unique=False)
    with op.batch_alter_table("authenticatable", schema=None) as batch_op:
        batch_op.add_column(sa.Column("process", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("changed", sa.BigInteger(), nullable=True))
        batch_op.create_index(batch_op.f("ix_authenticatable_changed"), ["changed"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("authenticatable", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_authenticatable_changed"))
        batch_op.drop_column("changed")
        batch_op.drop_column("process")
    with op.batch_alter_table("task", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_task_changed"))
        batch_op.drop_column("changed")
        batch_op.drop_column("request_id")
    op.drop_table("server_process")
