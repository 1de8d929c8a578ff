"""Placements tell whether their octets were put together from parts."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    column = sa.Column("assembled", sa.Text, nullable=False, server_default=sa.text("''"))
    op.add_column("placements", column)
    condition = sa.text("assembled <> ''")
    op.create_index(
        "ix_placements_assembled",
        "placements",
        ["account_id", "epoch_id"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
