"""The command line and the worker, from a package or from a bare plugin folder."""


def main() -> None:
    raise SystemExit("the command line is not there yet")


if __name__ == "__main__":
    main()
