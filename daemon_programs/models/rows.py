"""Read programs from the database, and build only those again whose row has changed."""

from daemon_programs.models.program import Program
from daemon_programs.prepared import Prepared, Row

_MOST_KEPT = 2000


class Rows:
    """The programs that were made from rows, by id.

    Each read queries the database, and a row is compared as a whole. So a program is never older than the
    read, whatever has changed it. The programs are shared by all requests: they are only to be read.
    """

    def __init__(self) -> None:
        self._all = Prepared(lambda: Program.objects.order_by("id"))
        self._one = Prepared(lambda: Program.objects.filter(pk=0).order_by())
        self._made: dict[int, tuple[Row, Program]] = {}

    def all(self) -> list[Program]:
        """Return all programs, in id order."""
        made = self._of(self._all.rows())
        programs = [program for _, program in made.values()]
        self._made = made  # last: from now on, other threads add to it
        return programs

    def one(self, id: int) -> Program | None:
        """Return the program with an id; None if there is none."""
        made = self._of(self._one.rows(id))
        if len(self._made) > _MOST_KEPT:  # some were removed since all were read
            self._made = {}
        self._made.update(made)
        return made[id][1] if made else None

    def _of(self, rows: list[Row]) -> dict[int, tuple[Row, Program]]:
        """Return rows with their programs by id, in their order."""
        kept, new = {}, []
        for row in rows:
            known = self._made.get(row[0])  # the id is the first column
            if known is not None and known[0] == row:
                kept[row[0]] = known
            else:
                new.append(row)
        made = {row[0]: (row, program) for row, program in zip(new, self._all.objects(new), strict=True)}
        return {row[0]: kept.get(row[0]) or made[row[0]] for row in rows}


rows = Rows()
