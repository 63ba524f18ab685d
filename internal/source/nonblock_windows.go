package source

// nonblock is nothing where no file name is that of a pipe in a directory.
const nonblock = 0
