pomona --help >long && pomona -h >short && pomona help >word && cmp long short && cmp long word && cat long
