"""`python -m torchlint` is the command `torchlint`."""

import os
import sys

# Python puts the working folder first on the path: a project's own `click.py` or `types.py` would be imported here.
_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if not sys.flags.safe_path and sys.path and sys.path[0] != _HOME and os.path.abspath(sys.path[0]) == os.getcwd():
    del sys.path[0]

from torchlint.cli import main  # noqa: E402  # not before that

if __name__ == "__main__":
    main()
