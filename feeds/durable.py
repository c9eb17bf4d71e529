"""Files that outlive a power cut, as the commits that speak of them do."""

import os
from pathlib import Path


def keep(path: Path) -> None:
    """Returns when the file of a feed is on the disk, with its name in the folder and the folder's own.

    Raises OSError when the disk does not take it.
    """
    for entry in (path, path.parent, path.parent.parent):
        descriptor = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
