"""What verification found damaged or missing, so that runs fetch it again; when the last verification ended."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NUMBER: sa.types.TypeEngine[int] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for table, column, target in (
        ("damaged_contents", "content_id", "contents"),
        ("damaged_sightings", "placement_id", "placements"),
    ):
        foreign = sa.ForeignKey(f"{target}.id", name=f"fk_{table}_{column}", ondelete="CASCADE")
        op.create_table(table, sa.Column(column, NUMBER, foreign, nullable=False, primary_key=True), sqlite_strict=True)
    op.create_table(
        "verifications",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("ended_at_us", NUMBER, nullable=False, server_default=sa.text("0")),
        sqlite_strict=True,
    )
