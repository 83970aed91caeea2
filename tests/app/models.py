"""Tables for the tests: every type of field, hostile names, moves between topics."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Upper


class Everything(models.Model):
    """A column of every type that travels, and two that are not declared."""

    flag = models.BooleanField(default=False)
    maybe = models.BooleanField(null=True)
    small = models.SmallIntegerField(null=True)
    number = models.IntegerField(null=True)
    big = models.BigIntegerField(null=True)
    real = models.FloatField(null=True)
    price = models.DecimalField(max_digits=15, decimal_places=8, null=True)
    at = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    clock = models.TimeField(null=True)
    span = models.DurationField(null=True)
    code = models.UUIDField(null=True)
    data = models.JSONField(null=True)
    word = models.CharField(max_length=200, null=True)
    text = models.TextField(null=True)
    slug = models.SlugField(null=True)
    link = models.URLField(null=True)
    mail = models.EmailField(null=True)
    file = models.FileField(null=True)
    address = models.GenericIPAddressField(null=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    shout = models.GeneratedField(
        expression=Upper("slug"), output_field=models.CharField(max_length=60), db_persist=True
    )
    secret = models.TextField(default="")


class Item(models.Model):
    """Belongs to a group, which may change; counted while it is open."""

    group = models.CharField(max_length=400, null=True)
    title = models.CharField(max_length=100, default="")
    closed_at = models.DateTimeField(null=True)
    hidden = models.TextField(default="")
    parent = models.ForeignKey("self", models.CASCADE, null=True)
    unique = models.IntegerField(null=True, unique=True)


class Quote(models.Model):
    """Only the latest of each counts; the key is a text."""

    symbol = models.CharField(max_length=60, primary_key=True)
    price = models.IntegerField(default=0)


class Hostile(models.Model):
    """Names that would do harm if they were not quoted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    body = models.TextField(default="", db_column="select' -- $$; {{body}}")
    gone = models.IntegerField(default=0, db_column="key_new")
    state = models.IntegerField(default=0, db_column="NEW")

    class Meta:
        db_table = "it's a; table -- $tocsin$ {x}"


class Right(models.Model):
    """What an `allows` reads."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    group = models.CharField(max_length=40)
