"""Editors are asked in `make test-deep` only: the language server comes from npm, which nothing else here needs."""

import os

collect_ignore = [] if os.environ.get("EDGEGITOPS_DEEP", "") not in {"", "0"} else ["test_language_server.py"]
