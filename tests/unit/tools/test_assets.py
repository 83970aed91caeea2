"""The pages' libraries come from the locked packages, and only those listed."""

import json

import pytest

from tools import assets


@pytest.fixture
def root(tmp_path):
    (tmp_path / "node_modules" / "lib").mkdir(parents=True)
    (tmp_path / "node_modules" / "lib" / "index.mjs").write_text("export {}")
    return tmp_path


def listed(root, **files):
    (root / "assets.json").write_text(json.dumps({f"lib/{k}.mjs": v for k, v in files.items()}))


def test_what_is_listed_is_copied_and_what_is_not_goes(root):
    listed(root, index="deep/lib.js")
    (root / "static" / "vendor").mkdir(parents=True)
    (root / "static" / "vendor" / "old.js").write_text("")
    assert assets.copy(root) == [root / "static" / "vendor" / "deep" / "lib.js"]
    assert (root / "static" / "vendor" / "deep" / "lib.js").read_text() == "export {}"
    assert not (root / "static" / "vendor" / "old.js").exists()


def test_a_missing_file_is_named_and_nothing_is_touched(root):
    listed(root, index="lib.js", gone="gone.js")
    (root / "static" / "vendor").mkdir(parents=True)
    (root / "static" / "vendor" / "old.js").write_text("")
    with pytest.raises(assets.MissingAssetError, match=r"lib/gone\.mjs"):
        assets.copy(root)
    assert (root / "static" / "vendor" / "old.js").exists()
