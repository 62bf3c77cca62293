"""Where the files that come with the package lie: inside the wheel when installed, at the repository's root in a checkout."""

from pathlib import Path
from typing import Literal


def bundled_path(kind: Literal["data", "notebooks", "docs"]) -> Path:
    """Return the folder of bundled data, notebooks or measurements."""
    here = Path(__file__).resolve().parent
    installed = here / "_bundled" / kind
    return installed if installed.is_dir() else here.parents[1] / kind
