from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deliveries', '0007_tally'),
    ]

    operations = [
        migrations.AddField(
            model_name='destination',
            name='last_errors',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='destination',
            name='paused_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
