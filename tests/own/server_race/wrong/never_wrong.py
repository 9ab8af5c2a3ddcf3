# as: load_client
# fails: counts_the_wrong
# says: got back another line than its own
import asyncio
import sys
import time

host, port, *rest = sys.argv[1:]
given = dict(zip(rest[::2], rest[1::2]))
N, S, T = int(given.get("--clients", 1)), float(given.get("--seconds", 1)), float(given.get("--think", 0))
state = [{"connected": 0, "answers": 0, "wrong": 0, "waits": [], "since": 0.0} for _ in range(N)]


async def client(number, mine):
    reader, writer = await asyncio.open_connection(host, port)
    mine["connected"] = 1
    while True:
        line = b"%d.%d\n" % (number, mine["answers"])
        mine["since"] = time.perf_counter()
        writer.write(line)
        try:
            back = await reader.readexactly(len(line))
        except (OSError, asyncio.IncompleteReadError):
            return
        mine["answers"] += 1
        mine["waits"].append(time.perf_counter() - mine["since"])
        mine["since"] = 0.0
        await asyncio.sleep(T)


async def main():
    tasks = []
    for number in range(N):
        tasks.append(asyncio.create_task(client(number, state[number])))
        await asyncio.sleep(0.002)
    for mine in state:
        mine["waits"].clear()
    await asyncio.sleep(S)
    for task in tasks:
        task.cancel()


asyncio.run(main())
end = time.perf_counter()
requests = sum(len(mine["waits"]) for mine in state)
waits = sorted(w for m in state for w in [*m["waits"], *([end - m["since"]] if m["since"] else [])]) or [0]
print('{"clients": %d, "connected": %d,' % (N, sum(m["connected"] for m in state)), end=" ")
print('"answered": %d, "wrong": %d,' % (sum(m["answers"] > 0 for m in state), sum(m["wrong"] for m in state)), end=" ")
print('"seconds": %.1f, "requests": %d,' % (S, requests), end=" ")
names = {"median": 0.5, "95": 0.95, "99": 0.99, "max": 1}
print(", ".join(f'"wait_{name}": {1000 * waits[int(at * (len(waits) - 1))]:.2f}' for name, at in names.items()) + "}")
