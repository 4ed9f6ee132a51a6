"""Isolation by the Linux kernel: namespaces, a file tree, no capabilities, resource limits, a system call filter.

Namespaces are entered by one process, the zygote, once; its children inherit them and give up every privilege before
they run anything. References: namespaces(7), user_namespaces(7), pivot_root(2), seccomp(2).
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import resource
import struct
from collections.abc import Iterable
from dataclasses import dataclass

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_NOATIME, _NODIRATIME, _RELATIME, _DETACH = 1024, 2048, 1 << 21, 2
_SET_PDEATHSIG, _CAPBSET_DROP, _SET_NO_NEW_PRIVS, _SET_SECCOMP = 1, 24, 38, 22
_INSIDE_ID, _NOBODY = 1000, 65534
_DEVICES = ("null", "zero", "random", "urandom")

_libc = ctypes.CDLL(None, use_errno=True)


class IsolationError(Exception):
    """The machine does not let this process isolate; the message says which step it refused."""


def _call(function: str, *arguments: object) -> int:
    result = getattr(_libc, function)(*arguments)
    if result == -1:
        number = ctypes.get_errno()
        raise IsolationError(f"{function}: {os.strerror(number)}")
    return int(result)


def enter_namespaces() -> None:
    """Put this process (and, for process ids, its children) into namespaces of its own.

    As root the programs' user is mapped to nobody, so that root's files stay closed and process limits hold; an
    ordinary user can map itself alone. A child writes the maps, since only a process outside may write two lines.
    """
    ready, mapped = os.pipe(), os.pipe()
    writer = os.fork()
    if writer == 0:
        os.read(ready[0], 1)
        os.write(mapped[1], _write_maps(os.getppid()).encode() or b"\n")
        os._exit(0)
    try:
        _call("unshare", NEWUSER | NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS)
    finally:
        os.write(ready[1], b".")
        problem = os.read(mapped[0], 4096).decode().strip()
        os.waitpid(writer, 0)
        for end in (*ready, *mapped):
            os.close(end)
    if problem:
        raise IsolationError(f"user map: {problem}")


_ROOT_WITHOUT_CAPABILITIES = (
    ": the kernel lets root make a user namespace with CAP_SETFCAP alone, which a container takes away: run the "
    "container as an ordinary user, or `apptainer exec --add-caps CAP_SETFCAP`"
)


def _write_maps(process: int) -> str:
    """Write the user and group maps of `process`; returns the error in words, empty if there was none."""
    alone = f"{_INSIDE_ID} {os.geteuid()} 1", f"{_INSIDE_ID} {os.getegid()} 1"
    nobody = f"0 0 1\n{_INSIDE_ID} {_NOBODY} 1"
    choices = [(nobody, nobody), alone] if os.geteuid() == 0 else [alone]
    problem = ""
    for users, groups in choices:
        try:
            _write(f"/proc/{process}/uid_map", users)
            if users == alone[0]:
                _write(f"/proc/{process}/setgroups", "deny")
            _write(f"/proc/{process}/gid_map", groups)
            return ""
        except OSError as error:
            problem = str(error)
    return problem + _ROOT_WITHOUT_CAPABILITIES if os.geteuid() == 0 else problem


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def build_root(visible: Iterable[str]) -> None:
    """Replace the host's file tree by one with the `visible` folders, read-only, four devices and an empty /tmp."""
    _mount("none", "/", None, _REC | _PRIVATE)
    _mount("tmpfs", "/tmp", "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")
    os.chdir("/tmp")
    os.mkdir("host")
    os.mkdir("new")
    _pivot(".", "host")
    os.chdir("/")
    _mount("/new", "/new", None, _BIND)
    for path in visible:
        _show(path)
    os.makedirs("/new/dev")
    for name in _DEVICES:
        open(f"/new/dev/{name}", "w").close()
        _mount(f"/host/dev/{name}", f"/new/dev/{name}", None, _BIND)
    os.mkdir("/new/tmp")
    _make_read_only("/new")
    os.chdir("/new")
    _pivot(".", ".")
    _call("umount2", b".", _DETACH)
    os.chdir("/")


def _show(path: str) -> None:
    """Bind one folder of the host into the new root; a symbolic link is made again (`/lib` of a merged /usr)."""
    source, target = f"/host{path}", f"/new{path}"
    if os.path.lexists(target) or not os.path.lexists(source):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
        return
    os.mkdir(target)
    _mount(source, target, None, _BIND | _REC)


def _make_read_only(root: str) -> None:
    """Remount all mounts below `root` read-only, keeping the flags that a user namespace may not clear."""
    with open("/host/proc/self/mountinfo") as file:
        points = [re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split()[4]) for line in file]
    for point in points:
        if point == root or point.startswith(root + "/"):
            flags = os.statvfs(point).f_flag
            locked = (_NOSUID | _NODEV | _NOEXEC | _NOATIME | _NODIRATIME) & flags | (_RELATIME if flags & 4096 else 0)
            device = point.startswith(f"{root}/dev/")
            _mount("none", point, None, _REMOUNT | _BIND | locked | _NOSUID | (0 if device else _RDONLY | _NODEV))


def mount_temporary(size: int) -> int:
    """Mount an empty /tmp of `size` bytes; returns the time of its last change (ns), which a program's use changes."""
    _mount("tmpfs", "/tmp", "tmpfs", _NOSUID | _NODEV | _NOEXEC, f"size={size},nr_inodes=4096,mode=1777")
    return os.stat("/tmp").st_ctime_ns


def drop_temporary() -> None:
    """Unmount /tmp with everything in it."""
    _call("umount2", b"/tmp", _DETACH)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    try:
        _call(
            "mount", source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags), options.encode()
        )
    except IsolationError as error:
        raise IsolationError(f"{error} ({source} on {target})") from None


def _pivot(new: str, old: str) -> None:
    _call("syscall", ctypes.c_long(_numbers("pivot_root")), new.encode(), old.encode())


def new_process_namespace(own: int | None) -> None:
    """Fork later children into a new process namespace, or into the one whose descriptor is `own`."""
    if own is None:
        _call("unshare", NEWPID)
    else:
        _call("setns", own, NEWPID)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _call("prctl", _SET_PDEATHSIG, 9, 0, 0, 0)


@dataclass(frozen=True)
class Limits:
    """What one process may use: seconds, bytes, counts."""

    cpu_seconds: int
    memory: int
    file_bytes: int
    threads: int


def give_up_privileges(limits: Limits, isolated: bool) -> None:
    """Drop other users and all capabilities, set the resource limits and the system call filter, irrevocably."""
    if isolated and os.getuid() == 0:  # root of the namespace: become the user that is nobody outside
        os.setgroups([])
        os.setresgid(_INSIDE_ID, _INSIDE_ID, _INSIDE_ID)
        os.setresuid(_INSIDE_ID, _INSIDE_ID, _INSIDE_ID)
    for capability in range(64):
        if _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) == -1:
            break  # EINVAL after the last one, EPERM without a namespace: there was no capability to drop
    header, nothing = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    _call("capset", header, nothing)
    for kind, value in {
        resource.RLIMIT_CPU: (limits.cpu_seconds, limits.cpu_seconds),  # a namespace's first process ignores SIGXCPU
        resource.RLIMIT_AS: (limits.memory, limits.memory),
        resource.RLIMIT_FSIZE: (limits.file_bytes, limits.file_bytes),
        resource.RLIMIT_NPROC: (limits.threads, limits.threads),
        resource.RLIMIT_NOFILE: (64, 64),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_MSGQUEUE: (0, 0),
    }.items():
        resource.setrlimit(kind, value)
    _call("prctl", _SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _filter_system_calls()


# Denied with EPERM: starting programs and processes, looking into others, changing mounts and namespaces, memory that
# no limit counts (System V, memfd), kernel interfaces with a record of holes. (x86_64, aarch64); None: not there.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "fanotify_init": (300, 262),
    "personality": (135, 92),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "acct": (163, 89),
    "quotactl": (179, 60),
}
_CLONE, _CLONE3, _SOCKET = (56, 220), (435, 435), (41, 198)
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH_*
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38
_CLONE_THREAD, _AF_UNIX, _X32 = 0x10000, 1, 0x40000000


def _numbers(name: str) -> int:
    column, _ = _machine()
    number = _DENIED[name][column]
    assert number is not None
    return number


def _machine() -> tuple[int, int]:
    machine = platform.machine()
    if machine not in _MACHINES:
        raise IsolationError(f"system call filter: no table for {machine}, only for {', '.join(_MACHINES)}")
    return _MACHINES[machine]


class _SockFprog(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _filter_system_calls() -> None:
    program = _filter_program()
    filter_ = _SockFprog(len(program) // 8, program)
    _call("prctl", _SET_SECCOMP, 2, ctypes.byref(filter_), 0, 0)


def _filter_program() -> bytes:
    """Classic BPF over struct seccomp_data {int nr; u32 arch; u64 ip; u64 args[6]} (little endian)."""
    column, arch = _machine()
    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    program = [
        (load, 0, 0, 4),
        (equal, 1, 0, arch),
        (give, 0, 0, _KILL),
        (load, 0, 0, 0),
        (at_least, 0, 1, _X32),
        (give, 0, 0, _ERRNO | _EPERM),
    ]
    for numbers in _DENIED.values():
        number = numbers[column]
        if number is not None:
            program += [(equal, 0, 1, number), (give, 0, 0, _ERRNO | _EPERM)]
    program += [
        (equal, 0, 1, _CLONE3[column]),  # its flags lie in memory, out of a filter's reach: glibc falls back to clone
        (give, 0, 0, _ERRNO | _ENOSYS),
        (equal, 0, 4, _CLONE[column]),  # threads, no processes
        (load, 0, 0, 16),
        (any_bit, 1, 0, _CLONE_THREAD),
        (give, 0, 0, _ERRNO | _EPERM),
        (give, 0, 0, _ALLOW),
        (equal, 0, 3, _SOCKET[column]),  # local sockets only (asyncio needs a pair)
        (load, 0, 0, 16),
        (equal, 1, 0, _AF_UNIX),
        (give, 0, 0, _ERRNO | _EPERM),
        (give, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *each) for each in program)
