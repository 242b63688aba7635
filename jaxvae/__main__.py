"""`python -m jaxvae COMMAND ...` does what `jaxvae COMMAND ...` does."""

from jaxvae.commands.door import main

if __name__ == "__main__":
    main()
