"""Links to algorithm stores, and ports of algorithms

Revision: 0004
Follows: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "algorithm_store",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("url", sa.String(length=1024), nullable=False),
        sa.Column("collaboration_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["collaboration_id"],
            ["collaboration.id"],
            name=op.f("fk_algorithm_store_collaboration_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_algorithm_store")),
        sa.UniqueConstraint(
            "url", "collaboration_id", name=op.f("uq_algorithm_store_url_collaboration_id")
        ),
        sqlite_autoincrement=True,
    )
    for_all = sa.text("collaboration_id IS NULL")
    op.create_index(
        "uq_algorithm_store_url_for_all",
        "algorithm_store",
        ["url"],
        unique=True,
        sqlite_where=for_all,
        postgresql_where=for_all,
    )
    op.create_index(
        op.f("ix_algorithm_store_collaboration_id"), "algorithm_store", ["collaboration_id"]
    )
    op.create_table(
        "algorithm_port",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_algorithm_port_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_algorithm_port")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_algorithm_port_run_id"), "algorithm_port", ["run_id"])
    # As SQL: Alembic would rebuild the table on SQLite, and dropping the old one empties, by
    # cascade, those that refer to it.
    op.execute(
        "ALTER TABLE task ADD COLUMN algorithm_store_id INTEGER "
        "CONSTRAINT fk_task_algorithm_store_id REFERENCES algorithm_store (id) ON DELETE SET NULL"
    )
    op.create_index(op.f("ix_task_algorithm_store_id"), "task", ["algorithm_store_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_task_algorithm_store_id"), table_name="task")
    op.execute("ALTER TABLE task DROP COLUMN algorithm_store_id")
    op.drop_table("algorithm_port")
    op.drop_table("algorithm_store")
