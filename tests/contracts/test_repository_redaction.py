"""No word of what a URL proves reaches an error, wherever the `@` stands."""

from datetime import timedelta

import pytest

from edgegitops.adapters.repository_mirror import FetchLimits, GitRepository
from edgegitops.adapters.repository_remote import explain
from edgegitops.adapters.tip_listing import list_tip
from edgegitops.errors import UnavailableError

WORDS = ("user", "c4nary", "t0ken")
URLS = ["http://user:c4nary@127.0.0.1:9/x.git", "http://user:c4nary@t0ken@127.0.0.1:9/x.git"]
QUICK = FetchLimits(wall_for=timedelta(seconds=5), stall_after=timedelta(seconds=1))


@pytest.mark.parametrize("url", URLS)
def test_proof_inside_of_a_url_is_in_no_error(url, tmp_path):
    said = [str(explain(f"failed to connect to {url}: refused"))]
    with pytest.raises(UnavailableError) as listed:
        list_tip(url, "main", timeout=timedelta(seconds=2))
    with pytest.raises(UnavailableError) as fetched:
        GitRepository(str(tmp_path / "mirror.git"), url, limits=QUICK).fetch()
    said += [str(listed.value), str(fetched.value)]
    assert not [text for text in said if any(word in text for word in WORDS)]
