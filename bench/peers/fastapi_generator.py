"""A generator with FastAPI: an async generator in a StreamingResponse, served by uvicorn."""

import asyncio
import json
import os
import socket
import time

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

INTERVAL_S = float(os.environ.get("BENCH_INTERVAL_MS", "20")) / 1000
app = FastAPI()


async def frames():
    due = time.monotonic()
    seq = 0
    while True:
        due += INTERVAL_S
        await asyncio.sleep(due - time.monotonic())
        seq += 1
        token = f"@{time.monotonic_ns() // 1000:015d}#{seq} "
        yield f"id: 1-{seq}\nevent: token\ndata: {json.dumps({'token': token})}\n\n"


@app.get("/stream")
async def stream():
    return StreamingResponse(frames(), media_type="text/event-stream")


if __name__ == "__main__":
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="error", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
