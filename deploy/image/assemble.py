"""Assembles the file system of the image: what archivmail runs on, and nothing else of the base image.

Run by the Dockerfile in its build stage, as root, with the build's own Python:

    assemble.py prune ENVIRONMENT
    assemble.py fill ENVIRONMENT PYTHON TARGET < PYTHON-SBOM

ENVIRONMENT is the virtual environment that is kept, PYTHON the base image's interpreter. TARGET gets the interpreter,
its standard library, every shared library that either of them is linked with, certificates, names, and the SBOM in
CycloneDX form: the Python packages that are given on standard input, and the system packages whose files were taken.
There is no shell, no package manager and no other program in it. Works on any base with glibc; where that is Debian,
the notes of copyright come along, and dpkg's records in the form that scanners read.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

SBOM = "usr/share/sbom/archivmail.cdx.json"

STDLIB_UNUSED = (
    "config-*", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "dist-packages", "test", "tkinter",
    "turtledemo", "turtle.py", "sitecustomize.py",
)  # fmt: skip
# Of the environment. The Kubernetes client has a module for each group of the API, loaded when it is asked for;
# archivmail speaks to the API server through the client's lower half, and to Leases.
ENVIRONMENT_UNUSED = (
    "**/tests",
    "kubernetes/client/api/*_api.py !core_v1 !coordination_v1 !authentication_v1",
    "kubernetes/aio/client/api/*_api.py !core_v1 !coordination_v1 !authentication_v1",
    "zstandard/_cffi*.so",  # for PyPy; beside it stands the one for CPython
    "zstandard/backend_cffi.py",
    "pygments/lexers/[!_]*.py",  # rich colours no sources here
    "sqlalchemy/testing",
    "sqlalchemy/dialects/mssql",
    "sqlalchemy/dialects/mysql",
    "sqlalchemy/dialects/oracle",
    "alembic/testing",
)
PASSWD = "root:x:0:0:root:/root:/sbin/nologin\narchivmail:x:65532:65532:archivmail:/tmp:/sbin/nologin\n"
GROUP = "root:x:0:\narchivmail:x:65532:\n"
FOLDERS = (("tmp", 0o1777), ("run", 0o755), ("proc", 0o555), ("sys", 0o555), ("dev", 0o755), ("etc", 0o755))
# Not linked with, but loaded when a host is looked up (in newer glibc that is part of libc) and when a thread ends.
LOADED_BY_NAME = ("libnss_dns.so.2", "libnss_files.so.2", "libgcc_s.so.1")
COPIED = (
    "etc/ssl/certs",
    "etc/ssl/openssl.cnf",
    "usr/lib/ssl/certs",
    "usr/lib/ssl/openssl.cnf",
    "usr/lib/ssl/cert.pem",
    "usr/share/ca-certificates",
    "etc/ld.so.cache",
)


def fill(environment: Path, python: str, target: Path) -> None:
    taken = set(assemble(python, environment, target))
    packages = system_packages(taken)
    keep_notes(packages, target)
    bom = with_system(json.load(sys.stdin), packages)
    require_valid(bom)
    path = target / SBOM
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(bom, indent=1, sort_keys=True) + "\n")
    compile_all(python, target)


def prune(environment: Path) -> None:
    """Take what is never loaded out of the environment."""
    (site,) = environment.glob("lib/python3*/site-packages")
    for line in ENVIRONMENT_UNUSED:
        pattern, *kept = line.split(" !")
        for path in list(site.glob(pattern)):
            if not path.name.startswith(tuple(f"{name}_" for name in kept) or ("!",)):
                remove(path)
    for program in environment.glob("bin/*"):
        if not program.name.startswith("python"):
            remove(program)


def assemble(python: str, environment: Path, target: Path) -> Iterator[Path]:
    """Fill the target; the files of the base that were copied."""
    for name, mode in FOLDERS:
        folder = target / name
        folder.mkdir(parents=True)
        folder.chmod(mode)
    (target / "etc/passwd").write_text(PASSWD)
    (target / "etc/group").write_text(GROUP)
    (target / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    for name in ("etc/hosts", "etc/resolv.conf"):  # to be mounted over
        (target / name).touch()
    for name in ("lib", "lib64"):
        if Path("/", name).is_symlink():
            (target / name).symlink_to(Path("/", name).readlink())
    for name in COPIED:
        yield from copy(Path("/", name), target)
    interpreter, stdlib = told(python, "import sys, sysconfig; print(sys.executable, sysconfig.get_path('stdlib'))")
    yield from copy(Path(interpreter), target)
    if Path(interpreter).name != "python3":
        yield from copy(Path(interpreter).with_name("python3"), target)
    unused = shutil.ignore_patterns("__pycache__", *STDLIB_UNUSED)
    shutil.copytree(stdlib, target / stdlib[1:], symlinks=True, ignore=unused)
    for module in (target / stdlib[1:]).rglob("*.py"):
        module.chmod(0o644)
    yield Path(stdlib, "os.py")
    yield from (path for path in Path(stdlib).glob("lib-dynload/*.so"))
    programs = [Path(interpreter).resolve(), *Path(stdlib).rglob("*.so"), *environment.rglob("*.so*")]
    for library in sorted({*linked(programs), *known_libraries(LOADED_BY_NAME)}):
        if not library.is_relative_to(environment):
            yield from copy(library, target)


def linked(programs: Iterable[Path]) -> set[Path]:
    """Every shared library that they are linked with."""
    listed = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", listed, re.MULTILINE)}


def known_libraries(names: Iterable[str]) -> Iterator[Path]:
    """Where the base has these libraries, if it has."""
    known = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for name in names:
        yield from (Path(found) for found in re.findall(rf"^\s+{re.escape(name)} .*=> (\S+)$", known, re.MULTILINE))


def copy(path: Path, target: Path) -> Iterator[Path]:
    """The file, link or folder, and what links lead to; at its own place."""
    place = target / str(path)[1:]
    if not os.path.lexists(path) or os.path.lexists(place):
        return
    if any(parent.is_symlink() for parent in path.parents):  # /lib is usr/lib
        yield from copy(path.parent.resolve() / path.name, target)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        place.symlink_to(path.readlink())
        yield path
        yield from copy(Path(os.path.normpath(path.parent / path.readlink())), target)
    elif path.is_dir():
        place.mkdir()
        for each in sorted(path.iterdir()):
            yield from copy(each, target)
    else:
        shutil.copy2(path, place)
        yield path


def system_packages(taken: Iterable[Path]) -> dict[str, dict[str, str]]:
    """Debian's packages that these files come from, by name: version, architecture, dpkg's record."""
    if shutil.which("dpkg-query") is None:
        return {}
    names = sorted({str(path) for path in taken} | {str(path).removeprefix("/usr") for path in taken})
    found = subprocess.run(["dpkg-query", "--search", *names], capture_output=True, text=True, check=False).stdout
    owners = {line.split(": ", 1)[0].split(":")[0] for line in found.splitlines() if not line.startswith("diversion ")}
    packages = {}
    for name in sorted(owners):
        record = subprocess.run(["dpkg-query", "--status", name], capture_output=True, text=True, check=True).stdout
        fields = dict(re.findall(r"^(Version|Architecture|Source): (\S+)", record, re.MULTILINE))
        packages[name] = fields | {"record": record}
    return packages


def keep_notes(packages: dict[str, dict[str, str]], target: Path) -> None:
    """Copyright notes and dpkg's records, as images without a package manager have them."""
    records = target / "var/lib/dpkg/status.d"
    for name, fields in packages.items():
        records.mkdir(parents=True, exist_ok=True)
        (records / name).write_text(fields["record"])
        for _ in copy(Path(f"/usr/share/doc/{name}/copyright"), target):
            pass
    if (release := Path("/etc/os-release")).exists():
        for _ in copy(release, target):
            pass


def with_system(bom: dict[str, object], packages: dict[str, dict[str, str]]) -> dict[str, object]:
    """The SBOM with the system packages in it, and without what differs from build to build."""
    components = bom.setdefault("components", [])
    assert isinstance(components, list)
    for name, fields in packages.items():
        purl = f"pkg:deb/debian/{name}@{fields['Version'].replace('+', '%2B').replace(':', '%3A')}"
        purl += f"?arch={fields['Architecture']}"
        part = {"type": "library", "name": name, "version": fields["Version"], "purl": purl, "bom-ref": purl}
        components.append(part)
    bom.pop("serialNumber", None)
    metadata = bom.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("timestamp", None)
    return bom


def require_valid(bom: dict[str, object]) -> None:
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - the build's environment has it, the linters' not
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    problem = JsonStrictValidator(SchemaVersion.from_version(str(bom["specVersion"]))).validate_str(json.dumps(bom))
    if problem:
        sys.exit(f"the SBOM does not follow its schema: {problem}")


def compile_all(python: str, target: Path) -> None:
    """Bytecode of the standard library, never compared with its source, for the image is read-only."""
    (stdlib,) = told(python, "import sysconfig; print(sysconfig.get_path('stdlib'))")
    how = ["-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", str(target), "-p", "/"]
    subprocess.run([python, *how, str(target / stdlib[1:])], check=True)


def told(python: str, program: str) -> list[str]:
    """Words that a program prints, run by the base's own interpreter and not by an environment."""
    return subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True).stdout.split()


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


if __name__ == "__main__":
    if sys.argv[1] == "prune":
        prune(Path(sys.argv[2]))
    else:
        fill(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
