"""What takes minutes and tells little news from commit to commit; `make test-deep` runs it."""

import os

collect_ignore = [] if os.environ.get("EDGEGITOPS_DEEP", "") not in {"", "0"} else ["test_defences.py", "test_fuzz.py"]
