"""The server API: its keys, and what publishes with an idempotency key have done."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("start", models.CharField(editable=False, max_length=16, verbose_name="key")),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("methods", models.JSONField(default=list)),
                ("topics", models.JSONField(blank=True, default=list)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("last_used_at", models.DateTimeField(editable=False, null=True)),
                ("revoked_at", models.DateTimeField(editable=False, null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
                "db_table": "tocsin_api_key",
            },
        ),
        migrations.CreateModel(
            name="Outcome",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.BigIntegerField()),
                ("topic", models.TextField()),
                ("word", models.TextField()),
                ("entry", models.BigIntegerField(default=0)),
                ("epoch", models.TextField(default="")),
                ("offset", models.BigIntegerField(default=0)),
                ("made_at", models.BigIntegerField(db_index=True)),
            ],
            options={
                "db_table": "tocsin_outcome",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("key", "topic", "word"), name="tocsin_outcome_once"
                    )
                ],
            },
        ),
    ]
