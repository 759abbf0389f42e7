"""check-token-accuracy.py TENSOR.json TOKEN.json: what `quern inspect --accuracy
--json` says of one model with ranges of tensors, and with ranges of tokens at x
and f. These sites are there, as the second says, and about as noisy: each has the
noise of what comes before it too, so that 1 dB is allowed."""
import json
import sys

tensor, token = ({s["name"]: s for s in json.load(open(f))["sites"]}
                 for f in sys.argv[1:])
assert tensor.keys() == token.keys(), tensor.keys() ^ token.keys()
found = 0
for name, site in token.items():
    assert site["per_token"] == (site["key"] in "xf"), site
    assert not tensor[name]["per_token"], site
    if site["per_token"]:
        found += 1
        assert site["bits"] == 8 and site["values"] == tensor[name]["values"]
        assert site["sqnr_db"] > tensor[name]["sqnr_db"] - 1, (
            site, tensor[name])
assert found >= 4, found
