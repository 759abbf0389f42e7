"""Run peers.py with stubs in place of the peers: peers-driver.py ROOT STUBS ...

STUBS gets a make_peers.py that notes its arguments and a peer_worker.py that
gives each setting a time of its own; the rest are arguments of peers.py.
"""
import os
import sys

root, stubs = sys.argv[1:3]
sys.path.insert(0, os.path.join(root, "tools", "bench"))
import peers

with open(os.path.join(stubs, "make_peers.py"), "w") as f:
    f.write('''import os, sys
print("making", *sys.argv[2:])
os.makedirs(sys.argv[1], exist_ok=True)
with open(os.path.join(sys.argv[1], "about.json"), "w") as f:
    f.write('{"vocabulary": 10}')
''')
with open(os.path.join(stubs, "peer_worker.py"), "w") as f:
    f.write('''import json, sys
setting = sys.argv[1]
with open(sys.argv[3]) as f:
    sequences = json.load(f)
assert len(sequences["ids"]) == len(sequences["type_ids"])
length = sum(map(len, sequences["ids"]))
if "bfloat16" in setting:
    sys.exit("this CPU has no bf16")
slow = {"openvino:ov-int8+static": 500.0, "onnxruntime:fp32": 9000.0,
        "onnxruntime:ort-dynamic-s8+sorted": 300.0}
print("some library says hello")
print(json.dumps({"median_ms": slow.get(setting, 1000.0) * length, "runs": 3,
                  "output": [1.0, 0.0] if "fp32" in setting else [3.0, 4.0]}))
''')
peers.HERE = stubs
peers.check_packages = lambda names: None
sys.argv[1:] = sys.argv[3:]
peers.main()
