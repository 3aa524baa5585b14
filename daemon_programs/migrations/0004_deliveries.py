import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('daemon_programs', '0003_stop_grace'),
    ]

    operations = [
        migrations.CreateModel(
            name='WebhookCount',
            fields=[
                ('outcome', models.CharField(max_length=10, primary_key=True, serialize=False)),
                ('total', models.PositiveBigIntegerField(default=0)),
            ],
        ),
        migrations.RemoveIndex(
            model_name='delivery',
            name='delivery_due',
        ),
        migrations.AddField(
            model_name='delivery',
            name='error',
            field=models.TextField(blank=True, default='', help_text='Why it was given up, or cancelled.'),
        ),
        migrations.AddField(
            model_name='delivery',
            name='program_id',
            field=models.PositiveBigIntegerField(default=0),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='delivery',
            name='queued_at',
            field=models.DateTimeField(default=django.utils.timezone.now, help_text='When it was put on its way, the last time.'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='delivery',
            name='tries',
            field=models.PositiveIntegerField(default=0, help_text='Attempts since then.'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['state', 'program_id', 'url'], name='delivery_lane'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['program_id', 'id'], name='delivery_program'),
        ),
    ]
