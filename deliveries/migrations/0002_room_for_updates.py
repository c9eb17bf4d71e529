from django.db import migrations


def leave_room(apps, schema_editor):
    """A delivery is updated twice in its first seconds; with room on its page no index is touched."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE deliveries_delivery SET (fillfactor = 60)")
        schema_editor.execute("ALTER TABLE deliveries_attempt SET (fillfactor = 70)")


class Migration(migrations.Migration):
    dependencies = [("deliveries", "0001_initial")]
    operations = [migrations.RunPython(leave_room, migrations.RunPython.noop)]
