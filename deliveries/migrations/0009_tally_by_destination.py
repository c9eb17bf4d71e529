from django.db import migrations, models


class Migration(migrations.Migration):
    """A key of several columns cannot be altered. What is lost is the picture of the last hour."""

    dependencies = [
        ('deliveries', '0008_last_errors'),
    ]

    operations = [
        migrations.DeleteModel(name='Tally'),
        migrations.CreateModel(
            name='Tally',
            fields=[
                ('pk', models.CompositePrimaryKey('minute', 'destination_id', 'share', blank=True, editable=False, primary_key=True, serialize=False)),
                ('minute', models.DateTimeField()),
                ('destination_id', models.BigIntegerField(default=0)),
                ('share', models.SmallIntegerField()),
                ('succeeded', models.IntegerField(default=0)),
                ('failed', models.IntegerField(default=0)),
            ],
        ),
    ]
