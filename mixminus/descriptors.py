"""How many files and sockets the process may have open."""

import logging
import resource

logger = logging.getLogger(__name__)

_ENOUGH = 65_536


def raise_limit() -> None:
    """Raise the soft limit of open files towards the hard one, for this process and those it starts.

    The usual soft limit of 1024 is there for programs that use select(); nothing here does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    logger.info("open_files_limit", extra={"limit": soft})
