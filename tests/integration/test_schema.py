"""The tables of the engine are there, and the models read what the SQL wrote."""

import pytest
from django.db import connection

from realtime.engine.models import Entry, Head, Life, Namespace, Publication


@pytest.mark.django_db
def test_every_model_reads_its_table():
    for model in (Entry, Head, Life, Namespace, Publication):
        assert list(model.objects.all()[:1]) is not None


@pytest.mark.django_db
def test_a_publication_comes_back_as_written():
    instant = "clock_timestamp()" if connection.vendor == "postgresql" else "1764000000123"
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO tocsin_log (topic, "offset", entry, op, key, body, written_at)'
            f" VALUES ('t:1', 1, 7, 'i', '5', '{{\"a\":  1}}', {instant})"
        )
    publication = Publication.objects.get(topic="t:1")
    assert (publication.op, publication.key, publication.body) == ("i", "5", '{"a":  1}')
    assert publication.written_at.tzinfo is not None
    assert Publication.objects.filter(written_at__lte=publication.written_at).exists()
