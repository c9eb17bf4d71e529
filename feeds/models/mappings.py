"""Mappings, and what people said of columns."""

from django.conf import settings
from django.db import models

from feeds.models.feeds import Feed


class Mapping(models.Model):
    """How a row's columns become method, path and body. A version is never changed."""

    name = models.CharField(max_length=100)
    version = models.IntegerField(default=1)
    document = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "version"], name="one_mapping_a_version")]

    def __str__(self) -> str:
        return f"{self.name}, version {self.version}"


class Alias(models.Model):
    """A person's word that a file's column is the one that a mapping names. It holds for later feeds."""

    mapping_name = models.CharField(max_length=100)  # of all its versions
    column = models.CharField(max_length=200)  # as the mapping names it
    found = models.CharField(max_length=200)  # as files name it
    feed = models.ForeignKey(Feed, null=True, on_delete=models.SET_NULL, related_name="+")  # asked there
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mapping_name", "column", "found"], name="alias_said_once"),
        ]

    def __str__(self) -> str:
        return f"{self.found} is {self.column} of {self.mapping_name}"
