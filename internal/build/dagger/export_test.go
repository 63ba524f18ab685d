package dagger

// Container describes a container whose programs nobody has checked: a recorded session compiles none.
var Container = (*Build).container
