"""usage: PYTHONPATH=CHECKS python check_aws.py GRAPH

The shared aws_check.py, and one rule more: a key that it knows no home for (UNMAPPED), or a resource that it does not convert (SKIPPED), counts as an
error unless docs/checks.md explains it: `UNMAPPED …Integration.timeoutMilliseconds`, `SKIPPED sns/topicPolicy`.
"""
import contextlib
import io
import json
import os
import re
import sys

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "checks.md")


def names(graph):
    """What a resource is called in the checker's lines -> its type's last word: its name, or that and the type run together."""
    known = {}
    for each in graph:
        word = each["type"].split(":")[-1]
        known[each["name"]] = word
        known[re.sub(r"\W", "", each["name"]) + word] = word
    return known


def about(line, types):
    """What docs/checks.md has to name: of a resource its type, of a key the type's last word and the key's path. Lines of other kinds: None."""
    kind, _, rest = line.partition(" ")
    if kind == "SKIPPED":
        return f"SKIPPED {rest.partition(':')[0]}"
    if kind == "UNMAPPED":
        name, _, path = rest.partition(".")
        return f"UNMAPPED …{types.get(name, name)}.{path}"
    return None


def unexplained(lines, types, docs):
    """The lines that docs/checks.md says nothing of, each once, as what it would have to say."""
    wanted = [about(line, types) for line in lines]
    return sorted({each for each in wanted if each and f"`{each}`" not in docs})


def main():
    import aws_check

    with open(sys.argv[1], encoding="utf8") as file:
        types = names(json.load(file))
    said = io.StringIO()
    status = 0
    try:
        with contextlib.redirect_stdout(said):
            aws_check.main()
    except SystemExit as end:
        status = end.code or 0
    finally:
        print(said.getvalue(), end="")
    with open(DOCS, encoding="utf8") as docs:
        missing = unexplained(said.getvalue().splitlines(), types, docs.read())
    for each in missing:
        print(f"ERROR docs/checks.md does not explain `{each}`")
    return 1 if missing else status


if __name__ == "__main__":
    sys.exit(main())
