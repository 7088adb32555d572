# SPDX-License-Identifier: MIT
"""Who takes none of his replies for CONNECTION_PATIENCE is dropped, and nobody else. It takes that long, asleep."""
import os
import re
import threading
import time

from broker import OPEN, Broker, Client, Place, attempt
from linux import as_user
from tap import check, equal, main

SLOW, READER, IDLE = 5001, 5002, 5003


def patience():
    """Seconds."""
    with open(os.environ["FDBROKER_SOURCE"] + "/broker/connection.h") as file:
        return int(re.search(r"#define CONNECTION_PATIENCE (\d+)", file.read())[1]) / 1000


def fill(client, path):
    """Asks until neither requests nor replies find any room."""
    client.socket.setblocking(False)
    quiet = 0
    while quiet < 10:
        if attempt(client.send, OPEN, path) == "OK":
            quiet = 0
        else:
            client.id -= 1
            quiet += 1
            time.sleep(0.02)
    client.socket.setblocking(True)


def take(client):
    """The next reply; False at the end."""
    got = client.receive()
    for descriptor in got[3] if got else ():
        os.close(descriptor)
    return got is not None


def test_who_takes_no_reply_is_dropped_and_nobody_else():
    bound = patience()
    # What is documented.
    equal(bound, 30)
    with Place() as place:
        denied = place.file("denied", "x")
        path = place.file("f", "x")
        policy = f"subject a {{\n user {SLOW} {READER} {IDLE}\n allow read {path}\n}}\n"
        with Broker(place, policy) as broker:
            def slow():
                with Client(broker.abstract) as client:
                    fill(client, denied)
                    begin = time.monotonic()
                    time.sleep(bound + 1.5)
                    # The replies that it had not taken are there, and then the end.
                    count = 0
                    while take(client):
                        count += 1
                    return count, time.monotonic() - begin

            def reader():
                """Takes one now and then, and never catches up."""
                with Client(broker.abstract) as client:
                    fill(client, denied)
                    for _ in range(4):
                        time.sleep((bound + 4) / 4)
                        # As many as make room for one more: the buffer is counted as a whole.
                        for _ in range(8):
                            check(take(client))
                    sent = client.id
                    client.socket.settimeout(5)
                    for _ in range(sent - 32):
                        check(take(client), sent)
                    return client.ask(path=path)

            def idle():
                with Client(broker.abstract) as client:
                    equal(client.ask(path=path), "OK")
                    time.sleep(bound + 4)
                    return client.ask(path=path)
            results = {}
            threads = [threading.Thread(target=lambda f=f, uid=uid: results.__setitem__(uid, as_user(uid, f, timeout=90)))
                       for uid, f in ((SLOW, slow), (READER, reader), (IDLE, idle))]
            for thread in threads:
                thread.start()
            time.sleep(bound - 4)
            # Not before its time.
            equal([r for r in broker.events("request") if r.get("errno") == "ETIMEDOUT"], [])
            for thread in threads:
                thread.join()
            equal((results.get(READER), results.get(IDLE)), ("OK", "OK"), results)
            check(10 < results[SLOW][0] < 100, results)
            record, = [r for r in broker.events("request") if r.get("errno") == "ETIMEDOUT"]
            equal((record["uid"], record["verdict"], "path" in record), (SLOW, "error", False))
            check("does not take its replies" in record["reason"], record)
            equal(broker.events("worker"), [])


if __name__ == "__main__":
    main(globals())
