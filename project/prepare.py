"""What `make run` needs in the database, in one process: the tables, then the demo people."""

import os
import sys

import django
from django.core.management import call_command

from project import complaints

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    with complaints.plainly(sys.argv):
        django.setup()
        call_command("migrate", interactive=False, verbosity=0)
        print("the database is up to date")  # noqa: T201
        call_command("demo")
