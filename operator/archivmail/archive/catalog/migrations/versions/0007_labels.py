"""Placements keep the labels that Gmail tells."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("placements", sa.Column("labels", sa.Text, nullable=False, server_default=sa.text("''")))
