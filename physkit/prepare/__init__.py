"""Raw data sets to stores: the plan, the workers, the result."""

from physkit.core.callable_room import make_callable

make_callable(__name__, "physkit.prepare.run:prepare")
