"""The table of promises, and its exit code."""


class Promises:
    """What was promised, what was found, and whether both agree."""

    def __init__(self):
        self.rows = []

    def expect(self, promise, found, is_kept, details=()):
        """Notes one promise. `details` names what broke it; the first ones are printed."""
        details = [str(d) for d in details]
        self.rows.append({"promise": promise, "found": str(found), "is_kept": bool(is_kept), "details": details})

    def expect_none(self, promise, found):
        """Notes a promise that is kept if `found` is empty."""
        found = list(found)
        self.expect(promise, len(found), not found, found)

    def show(self, figures):
        for name, value in figures.items():
            print(f"{name:<72} {value}")
        print()
        for row in self.rows:
            print(f"{row['promise']:<72} {row['found']:>16}  {'kept' if row['is_kept'] else 'BROKEN'}")
            for detail in row["details"][:10] if not row["is_kept"] else ():
                print(f"    {detail}")

    def code(self):
        return 0 if all(row["is_kept"] for row in self.rows) else 1
