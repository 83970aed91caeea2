"""A hub in a small world, with a clock of its own; nobody in it may have found anything wrong."""

import pytest

from tests.unit.engine.world import Scene


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.close()
