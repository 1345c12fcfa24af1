"""Runs scenarios against a broker, for a program that says which and that has the broker's process in its hands.

    main.py list                   prints the promises, one JSON text a line
    main.py sync|asyncio TARGET    reads the promise to show from standard input, one JSON text a line

While a scenario runs it may print {"ask": "kill"} and reads one line, the answer. At its end it prints {"ended": null},
or {"ended": "what went wrong"}. FILA_INTEROP_STUBS is the folder of the generated code.
"""

import asyncio
import json
import os
import sys
import traceback

sys.path.append(os.environ["FILA_INTEROP_STUBS"])

import client  # noqa: E402
from promises import PROMISES  # noqa: E402

import messages  # noqa: E402, F401
import admin  # noqa: E402, F401
import outages  # noqa: E402, F401
import standard_services  # noqa: E402, F401


def say(**what):
    print(json.dumps(what), flush=True)


async def read_line():
    return await asyncio.to_thread(sys.stdin.readline)


async def ask(word):
    say(ask=word)
    return json.loads(await read_line())


async def run(api, target):
    while line := await read_line():
        speaker = client.CLIENTS[api](target, ask)
        ended = None
        try:
            await PROMISES[json.loads(line)](speaker)
        except Exception:
            ended = traceback.format_exc()
        finally:
            await speaker.close()
        say(ended=ended)


if sys.argv[1] == "list":
    for text in PROMISES:
        print(json.dumps(text))
else:
    asyncio.run(run(sys.argv[1], sys.argv[2]))
