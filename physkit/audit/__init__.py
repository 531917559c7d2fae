"""What is wrong with a raw data set or a store: each recording alone, and all together."""

from physkit.core.callable_room import make_callable

make_callable(__name__, "physkit.audit.command:audit")
