"""Copy the few files the pages load from node_modules into static/vendor (assets.json)."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class MissingAssetError(FileNotFoundError):
    """A file of assets.json is not in node_modules."""


def copy(root: Path) -> list[Path]:
    """Fill `static/vendor` anew, so that nothing stays that is no longer listed."""
    listed = json.loads((root / "assets.json").read_text())
    vendor = root / "static" / "vendor"
    if missing := [name for name in listed if not (root / "node_modules" / name).is_file()]:
        raise MissingAssetError(
            f"assets.json lists what node_modules has not: {', '.join(missing)}. Run `npm ci`."
        )
    shutil.rmtree(vendor, ignore_errors=True)
    copied = []
    for source, target in listed.items():
        path = vendor / target
        path.parent.mkdir(parents=True, exist_ok=True)
        copied.append(Path(shutil.copyfile(root / "node_modules" / source, path)))
    return copied


if __name__ == "__main__":
    try:
        print(f"{len(copy(ROOT))} files in static/vendor")
    except MissingAssetError as error:
        sys.exit(str(error))
