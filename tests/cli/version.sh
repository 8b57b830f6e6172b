pomona --version
