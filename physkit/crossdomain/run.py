"""`physkit crossdomain`: train on each, test on each, one report."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from physkit.core.config import from_options
from physkit.core.errors import InputError
from physkit.crossdomain.config import CrossdomainConfig
from physkit.crossdomain.result import CrossdomainResult
from physkit.data.splits import StoreConfig

LOCK = ".lock"


def crossdomain(
    stores: Mapping[str, StoreConfig | Mapping[str, Any] | str], out: str | Path, **options: Any
) -> CrossdomainResult:
    """Train on each data set and test on each; options are the other fields of the config.

    stores: stores by name: a path, a `StoreConfig`, or its fields.
    Raises PhyskitError where a store, an option or the folder cannot be used. Cells that fail are
    told in the result.
    """
    named = {k: {"store": one} if isinstance(one, str) else one for k, one in stores.items()}
    return run(from_options(CrossdomainConfig, stores=named, out=str(out), **options))


def run(config: CrossdomainConfig, *, progress: bool = False) -> CrossdomainResult:
    """Do what `physkit crossdomain` does. progress: show bars on a terminal's standard error."""
    import time

    from physkit.crossdomain.page import write_results
    from physkit.crossdomain.plan import make_plan
    from physkit.crossdomain.work import Work
    from physkit.data.people import find_people

    began_s = time.monotonic()
    data = find_people(config.stores)
    plan = make_plan(config, data)
    work = Work(config, data, plan, progress=progress)  # refuses what cannot be done at all
    with _claimed(Path(config.out)):
        work.do_all()
        result = work.result(time.monotonic() - began_s)
        write_results(result)
    return result


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """The folder is made, and nobody else works in it. Raises InputError otherwise."""
    from filelock import FileLock, Timeout

    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / LOCK).touch()
        lock = FileLock(out / LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise InputError(f"{out}: another run works in it; wait, or name another --out") from error
    except OSError as error:
        raise InputError(f"{out}: cannot be used ({error}); name another --out") from error
    try:
        yield
    finally:
        lock.release()
