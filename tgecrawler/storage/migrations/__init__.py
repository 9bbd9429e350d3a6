"""The schema's history, for alembic; ``storage.schema`` runs it."""
