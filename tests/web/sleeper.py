"""What tests run in the place of openpoint: prints, and waits to be told to stop, when it writes a result."""

import signal
import sys
from pathlib import Path


def main(what: str) -> int:
    if what == "memory":
        return len(bytearray(1 << 30)) and 0
    if what == "wait":
        signal.signal(signal.SIGTERM, lambda *_: None)  # what sigwait takes must not end the process
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        print("        1      0.12              -        139.551          -  exchange", flush=True)
        signal.sigwait({signal.SIGTERM})
    if what == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        signal.pause()
    Path("out/result.json").write_text('{"study": "sleep"}', encoding="utf-8")
    print(f"done {what}", flush=True)
    return 130 if what == "wait" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
