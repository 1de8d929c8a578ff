"""A fencing token for each account."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NUMBER: sa.types.TypeEngine[int] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "fences",
        sa.Column(
            "account_id",
            NUMBER,
            sa.ForeignKey("accounts.id", name="fk_fences_account_id"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("token", sa.Text, nullable=False, server_default=sa.text("''")),
        sqlite_strict=True,
    )
