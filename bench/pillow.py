"""Answers one JSON line of work per line of input: the wall clock and processor seconds that Pillow takes. The first line is its version."""

import io
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

try:
    import PIL
    from PIL import Image
except ImportError:
    sys.exit(1)

print(PIL.__version__, flush=True)

for line in sys.stdin:
    work = json.loads(line)
    with open(work["path"], "rb") as file:
        content = file.read()

    def process(_):
        for width, height in work["sizes"]:
            with Image.open(io.BytesIO(content)) as image:
                image.thumbnail((width, height))
                image.save(io.BytesIO(), "PNG" if image.mode == "RGBA" else "JPEG", quality=80)

    start, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(work["concurrency"]) as pool:
        list(pool.map(process, range(work["images"])))
    print(json.dumps({"seconds": time.perf_counter() - start, "cpuSeconds": time.process_time() - cpu}), flush=True)
