from django.db import migrations


def leave_room(apps, schema_editor):
    """A handling is completed on the page that it was written to; vacuum looks at the hot tables by fixed counts."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE outbox_handling SET (fillfactor = 60)")
        for table in ("outbox_handling", "outbox_unrelayed", "outbox_lease", "outbox_lane"):
            schema_editor.execute(
                f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.01, "
                f"autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0)"
            )


class Migration(migrations.Migration):
    dependencies = [("outbox", "0002_indexes_that_spare_completion")]
    operations = [migrations.RunPython(leave_room, migrations.RunPython.noop)]
