"""usage: python check_kubernetes.py GRAPH CHECKS

The shared k8s_check.py, which stops at kinds that Kubernetes itself does not know: custom resources, whose schemas come with whoever brings them.
Those that docs/checks.md names are left out, as what covers them stands there; any other is an error.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "checks.md")

# Of Kubernetes' own groups only these have a dot, beside those that end in k8s.io.
OWN = re.compile(r"^kubernetes:(core|apps|batch|autoscaling|policy|([a-z.]+\.)?k8s\.io)/v\w+:\w+$")


def main(graph, checks):
    with open(graph, encoding="utf8") as file:
        resources = [each for each in json.load(file) if each["type"].startswith("kubernetes:")]
    with open(DOCS, encoding="utf8") as file:
        docs = file.read()
    custom = [each for each in resources if not OWN.match(each["type"])]
    unknown = [each for each in custom if f"`{each['type']}`" not in docs]
    for each in custom:
        said = "docs/checks.md does not explain it" if each in unknown else "a custom resource: see docs/checks.md"
        print(f"{'ERROR' if each in unknown else 'LEFT OUT'} {each['type']} {each['name']}: {said}")
    with tempfile.TemporaryDirectory() as folder:
        known = os.path.join(folder, "graph.json")
        with open(known, "w", encoding="utf8") as file:
            json.dump([each for each in resources if each not in custom], file)
        checked = subprocess.run([sys.executable, os.path.join(checks, "k8s_check.py"), known], check=False)
    return 1 if unknown else checked.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
