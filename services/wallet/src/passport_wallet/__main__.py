"""`python -m passport_wallet`."""

from passport_wallet.cli import main

if __name__ == "__main__":
    main()
