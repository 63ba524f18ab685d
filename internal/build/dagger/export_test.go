package dagger

// Container describes a container whose programs nobody has checked: a recorded session compiles none.
var Container = (*Build).container

// What lists the base, and reads the listing.
const List = list

var ParseListing = parseListing
