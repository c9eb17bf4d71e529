from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('deliveries', '0009_tally_by_destination'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='delivery',
            options={'verbose_name_plural': 'deliveries'},
        ),
    ]
