"""The one kind of error that is the user's to fix, and how it is said."""


class UserError(Exception):
    """Bad input: one line that says what is wrong, where, and what to do.

    `ganfp_jax.main` prints the line and exits with status 2; a traceback is shown with `--debug` only.
    """
