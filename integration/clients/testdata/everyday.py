"""What people do with containers through docker-py.

IMAGE is a busybox, PREFIX begins the names of all that is made here, API_VERSION is what the
client speaks. Prints each thing that it tries; ends with an error if one does not work.
"""

import io
import os
import sys
import tarfile
import time
import traceback

import docker

IMAGE = os.environ["IMAGE"]
PREFIX = os.environ["PREFIX"]
API_VERSION = os.environ["API_VERSION"]
LABEL = "for=" + PREFIX

client = docker.DockerClient.from_env(version=API_VERSION, timeout=60)
minor = int(client.api._version.split(".")[1])


def run(command, **options):
    return client.containers.run(IMAGE, command, detach=True, labels={"for": PREFIX}, **options)


def eventually(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "not within a minute: " + what
        time.sleep(0.1)


def tar_of(name, content, mode=0o640):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), mode
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def lifecycle():
    container = client.containers.create(IMAGE, "sleep 1000", name=PREFIX + "-life", labels={"for": PREFIX}, mem_limit="64m", environment={"A": "b"})
    assert container.status == "created", container.status
    container.start()
    container.reload()
    assert container.status == "running", container.status
    assert container.attrs["HostConfig"]["Memory"] == 64 << 20
    assert "A=b" in container.attrs["Config"]["Env"]
    container.pause()
    container.reload()
    assert container.attrs["State"]["Paused"]
    container.unpause()
    container.rename(PREFIX + "-renamed")
    assert client.containers.get(PREFIX + "-renamed").id == container.id
    container.restart(timeout=0)
    container.kill()
    assert container.wait()["StatusCode"] == 137
    container.remove()
    try:
        client.containers.get(container.id)
        raise AssertionError("a removed container is still there")
    except docker.errors.NotFound:
        pass


def foreground_run():
    assert client.containers.run(IMAGE, ["sh", "-c", "echo hello"], remove=True) == b"hello\n"
    try:
        client.containers.run(IMAGE, ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
        raise AssertionError("an exit code was lost")
    except docker.errors.ContainerError as error:
        assert error.exit_status == 3, error


def lists():
    container = run("sleep 1000")
    listed = client.containers.list(filters={"label": [LABEL], "status": "running"})
    assert container.id in [c.id for c in listed]
    assert client.containers.list(filters={"label": "for=nothing"}) == []
    sized = client.api.containers(filters={"id": container.id}, size=True)
    assert "SizeRootFs" in sized[0], sized
    container.remove(force=True)


def logs():
    container = run(["sh", "-c", "echo first; sleep 0.3; echo second >&2; sleep 0.3; echo third"])
    streamed = b"".join(container.logs(stream=True, follow=True))
    assert streamed == b"first\nsecond\nthird\n", streamed
    assert container.logs(stdout=True, stderr=False) == b"first\nthird\n"
    assert container.logs(tail=1) == b"third\n"
    assert container.logs(timestamps=True, tail=1).endswith(b"Z third\n")
    container.remove(force=True)


def attach():
    container = client.containers.create(IMAGE, ["sh", "-c", "read x; echo got $x"], stdin_open=True, labels={"for": PREFIX})
    socket = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    container.start()
    raw = getattr(socket, "_sock", socket)
    raw.sendall(b"this\n")
    received = b""
    while b"got this\n" not in received:
        part = raw.recv(4096)
        assert part, received
        received += part
    assert received[:8] == b"\x01\0\0\0\0\0\0\x09", received
    socket.close()
    assert container.wait()["StatusCode"] == 0
    container.remove()


def execute():
    container = run("sleep 1000")
    done = container.exec_run(["sh", "-c", "echo out; echo err >&2; exit 4"], demux=True)
    assert (done.exit_code, done.output) == (4, (b"out\n", b"err\n")), done
    assert container.exec_run(["id", "-un"], user="nobody").output == b"nobody\n"
    if minor >= 35:
        assert container.exec_run(["sh", "-c", "pwd; echo $E"], workdir="/tmp", environment={"E": "f"}).output == b"/tmp\nf\n"
    stream = container.exec_run(["sh", "-c", "echo 1; sleep 0.3; echo 2"], stream=True)
    assert b"".join(stream.output) == b"1\n2\n"
    container.remove(force=True)


def archives():
    container = client.containers.create(IMAGE, "true", labels={"for": PREFIX})
    assert container.put_archive("/tmp", tar_of("file", b"content"))
    parts, stat = container.get_archive("/tmp/file")
    assert stat["name"] == "file" and stat["size"] == 7 and stat["mode"] & 0o777 == 0o640, stat
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
        assert archive.extractfile("file").read() == b"content"
    try:
        container.get_archive("/nowhere")
        raise AssertionError("a file that is not there was found")
    except docker.errors.NotFound:
        pass
    assert {"Path": "/tmp/file", "Kind": 1} in container.diff(), container.diff()
    exported = b"".join(container.export())
    with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
        assert "tmp/file" in archive.getnames()
    container.remove()


def statistics():
    container = run("sleep 1000", mem_limit="64m")
    once = container.stats(stream=False)
    assert once["memory_stats"]["limit"] == 64 << 20, once["memory_stats"]
    assert once["cpu_stats"]["cpu_usage"]["total_usage"] > 0, once["cpu_stats"]
    assert once["networks"], once
    stream = container.stats(stream=True, decode=True)
    first, second = next(stream), next(stream)
    assert first["read"] < second["read"] and second["precpu_stats"]["cpu_usage"]["total_usage"] > 0
    stream.close()
    processes = container.top()
    assert any("sleep 1000" in " ".join(row) for row in processes["Processes"]), processes
    container.update(mem_limit="48m", memswap_limit="48m")
    container.reload()
    assert container.attrs["HostConfig"]["Memory"] == 48 << 20
    container.remove(force=True)


def events():
    since = int(time.time()) - 1
    container = run("true")
    container.wait()
    container.remove()
    seen = [event["status" if minor < 52 else "Action"] for event in client.events(since=since, until=int(time.time()) + 1, filters={"container": container.id}, decode=True)]
    positions = [seen.index(action) for action in ("create", "start", "die", "destroy")]
    assert positions == sorted(positions), seen


def commit():
    container = run(["sh", "-c", "echo kept > /kept"])
    container.wait()
    name = "committed/" + PREFIX
    image = container.commit(repository=name, tag="v1", author="me", message="why", changes='CMD ["cat", "/kept"]')
    assert client.containers.run(name + ":v1", remove=True) == b"kept\n"
    assert image.attrs["Author"] == "me", image.attrs
    client.images.remove(name + ":v1", force=True)
    container.remove()


def prune():
    container = client.containers.create(IMAGE, "true", labels={"for": PREFIX})
    pruned = client.containers.prune(filters={"label": LABEL})
    assert container.id in pruned["ContainersDeleted"], pruned
    client.df()


def refusals():
    try:
        client.containers.create(IMAGE, "true", name=PREFIX + "/bad")
        raise AssertionError("a bad name was taken")
    except docker.errors.APIError as error:
        assert error.response.status_code == 400, error
    try:
        client.swarm.attrs or client.nodes.list()
        raise AssertionError("this is a swarm")
    except docker.errors.APIError as error:
        assert error.response.status_code == 503 and "not a swarm manager" in str(error), error


CASES = [(1, lifecycle), (1, foreground_run), (1, lists), (1, logs), (1, attach), (1, execute), (1, archives), (22, statistics), (22, events), (1, commit),
         (25, prune), (24, refusals)]


def main():
    failed = False
    for since, case in CASES:
        if minor < since:
            continue
        try:
            case()
            print("ok", case.__name__)
        except Exception:
            failed = True
            print("FAILED", case.__name__)
            traceback.print_exc(limit=-3, chain=False, file=sys.stdout)
    for container in client.containers.list(all=True, filters={"label": LABEL}):
        container.remove(force=True)
    sys.exit(failed)


main()
