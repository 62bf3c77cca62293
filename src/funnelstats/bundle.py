"""Where the files that come with the package lie: inside the wheel when installed, at the repository's root in a checkout."""

from pathlib import Path
from typing import Literal


def bundled_path(kind: Literal["data", "notebooks"]) -> Path:
    """Return the folder of bundled data or notebooks."""
    here = Path(__file__).resolve().parent
    installed = here / "_bundled" / kind
    return installed if installed.is_dir() else here.parents[1] / kind
