#!/usr/bin/env python
"""Tocsin's command line: `manage.py help` lists the commands."""

import os
import sys

from django.core.management import execute_from_command_line

from project import complaints

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    with complaints.plainly(sys.argv):
        execute_from_command_line(sys.argv)
