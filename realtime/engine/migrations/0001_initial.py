"""The engine's tables, from `sql/<vendor>/schema.sql`; the models only describe them."""

from django.db import migrations, models

import realtime.engine.models
from realtime.engine import sql, triggers


def create(apps, schema_editor):
    for statement in sql.statements(schema_editor.connection.vendor, "schema"):
        schema_editor.execute(statement)


def drop(apps, schema_editor):
    # without the tables every write of the application would fail in our triggers
    triggers.uninstall(schema_editor.connection.alias)
    for statement in sql.statements(schema_editor.connection.vendor, "drop"):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.RunPython(create, drop),
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("topics", realtime.engine.models.RawField()),
                ("op", realtime.engine.models.RawField()),
                ("key", models.TextField(null=True)),
                ("body", realtime.engine.models.RawField(null=True)),
                ("counts", realtime.engine.models.RawField(null=True)),
                ("about", realtime.engine.models.RawField(null=True)),
                ("control", models.BooleanField(default=False)),
                ("written_at", realtime.engine.models.InstantField()),
            ],
            options={
                "verbose_name_plural": "entries",
                "db_table": "tocsin_entry",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Publication",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "topic",
                        "offset",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("topic", models.TextField()),
                ("offset", models.BigIntegerField()),
                ("entry", models.BigIntegerField()),
                ("op", realtime.engine.models.RawField()),
                ("key", models.TextField(null=True)),
                ("body", realtime.engine.models.RawField(null=True)),
                ("counts", realtime.engine.models.RawField(null=True)),
                ("about", realtime.engine.models.RawField(null=True)),
                ("mark", models.BigIntegerField()),
                ("written_at", realtime.engine.models.InstantField()),
                ("moved_at", realtime.engine.models.InstantField()),
            ],
            options={"db_table": "tocsin_log", "managed": False},
        ),
        migrations.CreateModel(
            name="Head",
            fields=[
                ("topic", models.TextField(primary_key=True, serialize=False)),
                ("epoch", models.TextField()),
                ("offset", models.BigIntegerField()),
                ("floor", models.BigIntegerField(default=0)),
                ("moved_at", realtime.engine.models.InstantField()),
            ],
            options={"verbose_name": "topic", "db_table": "tocsin_head", "managed": False},
        ),
        migrations.CreateModel(
            name="Namespace",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("epoch", models.TextField()),
            ],
            options={"db_table": "tocsin_namespace", "managed": False},
        ),
        migrations.CreateModel(
            name="Life",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("system_identifier", models.TextField()),
                ("timeline", models.TextField()),
                ("database_oid", models.TextField()),
            ],
            options={
                "verbose_name_plural": "lives",
                "db_table": "tocsin_life",
                "managed": False,
            },
        ),
    ]
