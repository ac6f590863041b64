"""The keeper: runs on a board in a session of its own, starts the agents, and keeps what they say until the harness has it.

With kept.py beside it; standard library only, Python >= 3.8, never imported by the harness. `python keeper.py VERB` reads one JSON line
with its terms from stdin, answers with one JSON line that begins with kept.MARK, and then
  hold    starts a keeper unless somebody holds the board, and goes on as `attach`
  attach  carries bytes between stdin/stdout and the keeper's socket, both ways, until one of them ends
  end     asks the keeper, whoever's it is, to end as if its lease had run out, and waits until it has

The socket is an abstract one with a fixed name, so a board has one keeper at most, whichever account it runs under; whoever connects may ask
`who`, all else is for the account that started it. Lines are JSON. To the keeper: {"who": session or ""}, {"attach": session, "have": s},
{"beat": k, "ack": s} and {"n": 5, "do": verb, "with": {...}}: request n is carried out once, however often it comes. From the keeper: {"who": ...},
{"attached": ...}, {"beat": k} and, each with a sequence number "s" and kept in the journal until it is acknowledged, {"re": n, "result": ...},
{"re": n, "error": ...}, {"agent": id, "data": text}, {"agent": id, "ended": code}.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.measure.ssh.kept import GRACE_S, NAME, PIECE, Guest, Job, Journal, answer, attend, boot, clear, connect, peer, sweep, told, who
else:
    sys.dont_write_bytecode = True  # what lies beside us is the store, where everything is named by its content
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from kept import GRACE_S, NAME, PIECE, Guest, Job, Journal, answer, attend, boot, clear, connect, peer, sweep, told, who

WILL_S = 120.0  # what each request of the will gets, as much as from the harness
STUCK_S = 5 * GRACE_S  # what a driver holds for so long after its kill is not waited for: the settings go back all the same


class Keeper:
    """The loop: asleep in poll until somebody says something, an agent ends, or the lease runs out."""

    def __init__(self, listener: socket.socket, terms: dict[str, Any]) -> None:
        self.listener, self.terms = listener, terms
        self.run_folder, self.session, self.lease = terms["run"], terms["session"], float(terms["lease"])
        self.begun = self.heard = time.monotonic()
        self.guests: list[Guest] = []
        self.attached: Guest | None = None
        self.cursor = 1  # the next number to send to who is attached
        self.done = 0  # the newest request that was carried out
        self.jobs: dict[int, Job] = {}
        self.will: list[dict[str, Any]] = []
        self.stopped = self.bye = False
        self.bell, ring = socket.socketpair()
        self.ring = ring
        for end in (self.bell, ring):
            end.setblocking(False)
        signal.set_wakeup_fd(ring.fileno())
        handlers: list[Any] = [signal.SIG_IGN, signal.SIG_IGN, self.stop, lambda *_: None]
        for number, handler in zip((signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD), handlers):
            signal.signal(number, handler)
        sweep(self.run_folder)
        clear(self.run_folder)
        os.makedirs(self.run_folder, 0o700)
        self.journal = Journal(os.path.join(self.run_folder, "journal"))
        with open(os.path.join(self.run_folder, "keeper.pid"), "w") as file:
            file.write("%d\n" % os.getpid())
        listener.listen(64)  # here, because whoever connects is told who it was that listened

    def stop(self, *_: object) -> None:
        self.stopped = True

    # --- requests ------------------------------------------------------------------------------------------------------------------

    def do_start(self, agent: int, file: str, threads: int) -> dict[str, Any]:
        self.jobs[agent] = job = Job(self.run_folder, file, threads)
        return {"pid": job.process.pid}

    def do_send(self, agent: int, line: str) -> dict[str, Any]:
        job = self.jobs[agent]
        if job.input >= 0 and not job.over:
            job.pending += line.encode() + b"\n"
            job.write()
        return {}

    def do_stderr(self, agent: int) -> dict[str, Any]:
        return {"text": self.jobs[agent].stderr()}

    def do_end(self, agent: int) -> dict[str, Any]:
        self.jobs[agent].leave()
        return {}

    def do_forget(self, agent: int) -> dict[str, Any]:
        self.jobs[agent].forgotten = True  # and gone from here when it has ended
        return {}

    def do_will(self, requests: list[dict[str, Any]], file: str) -> dict[str, Any]:
        self.will, self.terms["agent"] = requests, file
        return {}

    def do_bye(self) -> dict[str, Any]:
        self.stopped = self.bye = True
        return {}

    # --- the loop ------------------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        while not self.stopped:
            self.wait()
            for number, job in list(self.jobs.items()):
                self.look_after(number, job)
            if time.monotonic() - self.heard > self.lease:
                self.stopped = True
        self.end()

    def wait(self) -> None:
        """Sleep until something happens, and see to it."""
        poll, now = select.poll(), time.monotonic()
        for waiting in (self.listener, self.bell):
            poll.register(waiting, select.POLLIN)
        for guest in self.guests:
            poll.register(guest.connection, select.POLLIN | (select.POLLOUT if guest.out or self.more(guest) else 0))
        running = [(number, job) for number, job in self.jobs.items() if not job.over]
        for _, job in running:
            for end in job.ends(now):
                poll.register(end, select.POLLIN)
            if job.pending:
                poll.register(job.input, select.POLLOUT)
        ready = {number for number, _ in poll.poll(max(0.0, self.due(now) - time.monotonic()) * 1000)}
        if self.bell.fileno() in ready:
            self.bell.recv(4096)
        for number, job in running:
            if job.output in ready:
                self.hear(number, job)
            if job.noise in ready:
                job.hear_noise()
            if job.input in ready:
                job.write()
        for guest in list(self.guests):
            if guest.connection.fileno() in ready:
                self.serve(guest)
        if self.listener.fileno() in ready:
            self.guests.append(Guest(self.listener.accept()[0]))
            strangers = [guest for guest in self.guests if guest is not self.attached]
            if len(strangers) > 16:
                self.drop(strangers[0])

    def due(self, now: float) -> float:
        """When to wake although nothing has happened."""
        running = [job for job in self.jobs.values() if not job.over]
        asked = [job.noise_at for job in running if job.noise >= 0 and job.noise_at > now] + [job.kill_at for job in running if job.kill_at]
        return min([self.heard + self.lease + 0.1, *asked])

    def hear(self, number: int, job: Job) -> bool:
        """Keep what an agent says; whether there was anything."""
        piece = job.read()
        if piece:
            self.journal.add({"agent": number, "data": piece.decode("latin-1")})
        return bool(piece)

    def look_after(self, number: int, job: Job) -> None:
        if job.kill_at is not None and not job.over and time.monotonic() >= job.kill_at:
            job.kill()
            job.kill_at = time.monotonic() + STUCK_S  # what a driver holds is asked again, and not without a pause
        if not job.over and job.ended():
            while self.hear(number, job):
                pass
            job.over = True
            self.journal.add({"agent": number, "ended": job.process.returncode})
        if job.over and job.forgotten:
            self.jobs.pop(number).close()

    def more(self, guest: Guest) -> bool:
        return guest is self.attached and self.cursor <= self.journal.last

    def serve(self, guest: Guest) -> None:
        lines = guest.lines()
        if lines is None:
            self.drop(guest)
            return
        for line in lines:
            try:
                self.take(guest, json.loads(line))
            except (ValueError, KeyError, TypeError, RecursionError):  # whoever has an account on the board may say anything
                self.drop(guest)
                return
        while not self.bye and self.more(guest) and len(guest.out) < PIECE:  # the answer to `bye` comes when all is done
            guest.out += self.journal.get(self.cursor)
            self.cursor += 1
        if not guest.write():
            self.drop(guest)

    def take(self, guest: Guest, message: dict[str, Any]) -> None:
        if "who" in message:
            guest.say({"who": dict(self.who(), same=message["who"] == self.session)})
        elif "attach" in message:
            if guest.uid not in (0, os.getuid()) or message["attach"] != self.session:
                raise ValueError
            if self.attached and self.attached is not guest:
                self.drop(self.attached)  # a channel of the same harness that was cut
            self.attached, self.heard = guest, time.monotonic()
            self.journal.trim(message["have"])
            self.cursor = message["have"] + 1
            guest.say({"attached": {"pid": os.getpid(), "done": self.done}})
        elif guest is not self.attached:
            raise ValueError
        else:
            self.heard = time.monotonic()
            if "beat" in message:
                self.journal.trim(message["ack"])
                guest.say({"beat": message["beat"]})
            elif message["n"] > self.done:
                self.done = message["n"]
                try:
                    answer = {"result": getattr(self, "do_" + message["do"])(**message["with"])}
                except Exception as error:  # the harness is told
                    answer = {"error": "%s: %s" % (type(error).__name__, error)}
                self.journal.add(dict(answer, re=message["n"]))

    def who(self) -> dict[str, Any]:
        now = time.monotonic()
        return dict(self.terms["holder"], keeper=os.getpid(), for_s=now - self.begun, heard_s=now - self.heard)

    def drop(self, guest: Guest) -> None:
        if guest is self.attached:
            self.attached = None
        if guest in self.guests:
            self.guests.remove(guest)
        guest.connection.close()

    # --- the end -------------------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """End the agents, carry out the will, leave nothing behind; meanwhile whoever comes is told so, and for how long at the most."""
        begun = time.monotonic()
        most = 2 * GRACE_S + STUCK_S + (WILL_S * (1 + len(self.will)) + STUCK_S if self.will else 0.0)
        leave = attend(self.listener, self.session, lambda: dict(self.who(), ending={"for_s": time.monotonic() - begun, "most_s": most}))
        for job in [job for job in self.jobs.values() if not job.over]:
            job.leave()
        deadline = time.monotonic() + STUCK_S
        while any(not job.over for job in self.jobs.values()) and time.monotonic() < deadline:
            for number, job in list(self.jobs.items()):
                job.stderr()
                self.look_after(number, job)
            time.sleep(0.02)
        try:
            if self.will:
                self.carry_out()
        finally:
            sweep(self.run_folder)
            clear(self.run_folder)
        leave()
        if self.attached:  # the last answers
            self.attached.connection.settimeout(GRACE_S)
            self.attached.out += b"".join(self.journal.get(number) for number in range(self.cursor, self.journal.last + 1))
            with contextlib.suppress(OSError):
                self.attached.connection.sendall(self.attached.out)

    def carry_out(self) -> None:
        """Ask a fresh agent what the harness asked for where it cannot any more."""
        job = Job(self.run_folder, self.terms["agent"], 1)
        try:
            for request in [{"do": "hello", "with": {"die_with_parent": True}}, *self.will]:
                job.pending = json.dumps(request).encode() + b"\n"
                deadline, received = time.monotonic() + WILL_S, b""
                while not any(b'"event"' not in line[:10] for line in received.split(b"\n")[:-1]):
                    job.write()
                    left = deadline - time.monotonic()
                    readable = select.select(job.ends(deadline), [job.input] if job.pending else [], [], max(0.0, left))[0]
                    if job.noise in readable:
                        job.hear_noise()
                    said = job.output in readable
                    piece = job.read() if said else b""
                    if left <= 0 or (said and not piece):
                        return
                    received += piece
        finally:
            job.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                job.process.wait(STUCK_S)
            job.close()


# --- the verbs ---------------------------------------------------------------------------------------------------------------------


def hold(terms: dict[str, Any]) -> None:
    for _ in range(20):
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(NAME)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise
            connection = connect()
            if connection is None:
                time.sleep(0.1)  # it is just ending
                continue
            holder = who(connection, terms["session"])
            connection.close()
            if not holder.get("same"):
                answer("held", by=holder, mine=holder["uid"] == os.getuid() or os.getuid() == 0)
                return
        else:
            why = detach(listener, terms)
            listener.close()
            if why:
                answer("failed", why=why)
                return
        attach(terms)
        return
    answer("held", by={}, mine=False)


def detach(listener: socket.socket, terms: dict[str, Any]) -> str:
    """Start a keeper that has nothing in common with this process: not its session, not its standard streams. Why it could not, or ""."""
    news, tell = os.pipe()
    if os.fork():
        os.close(tell)
        os.wait()
        with os.fdopen(news) as file:
            return file.read()
    os.setsid()
    if os.fork():
        os._exit(0)
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        os.chdir("/")
        try:
            keeper = Keeper(listener, terms)
        except OSError as error:
            os.write(tell, str(error).encode())
            return ""
        os.close(tell)
        try:
            keeper.run()
        except Exception:
            if keeper.attached:
                keeper.attached.say({"crash": traceback.format_exc()})
                keeper.attached.write()
            keeper.end()
    finally:
        os._exit(0)


def attach(terms: dict[str, Any]) -> None:
    connection = connect()
    if connection is None or peer(connection)[1] not in (0, os.getuid()):
        answer("gone", boot=boot())
        return
    answer("open", boot=boot())
    connection.settimeout(None)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(connection, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            try:
                if ready:
                    piece = connection.recv(PIECE)
                    view = piece
                    while view:
                        view = view[os.write(1, view) :]
                else:
                    piece = os.read(0, PIECE)
                    connection.sendall(piece)
            except OSError:
                return
            if not piece:
                return


def end(terms: dict[str, Any]) -> None:
    connection = connect()
    if connection is None:
        answer("free")
        return
    holder = who(connection, "")
    try:
        os.kill(peer(connection)[0], signal.SIGTERM)
    except OSError as error:
        answer("refused", by=holder, why=os.strerror(error.errno or 0))
        return
    connection.settimeout(terms["seconds"])
    try:
        while connection.recv(PIECE):
            pass
    except socket.timeout:  # TimeoutError only since 3.10
        answer("refused", by=holder, why="it does not end")
        return
    except OSError:
        pass
    answer("ended", by=holder)


if __name__ == "__main__":
    {"hold": hold, "attach": attach, "end": end}[sys.argv[1]](told())
