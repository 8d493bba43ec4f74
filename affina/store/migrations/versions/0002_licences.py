"""The licences of data and bases, beside what they are called."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what is there already none was stated."""
    op.add_column("labels", sa.Column("licence", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Forgets them."""
    op.drop_column("labels", "licence")
