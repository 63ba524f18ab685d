// Package alpine puts packages of Alpine into images: it reads the signed indexes of the base's repositories, decides which packages are
// needed, fetches and unpacks them, and adds them to apk's database. Nothing is executed, neither of the packages nor of this machine.
//
// What is believed of the network: an index by its signature, which must be of a key that the base has in /etc/apk/keys; a package by the
// digest of its control part, which the index has, and that of its data, which the control part has; or, if it is locked, by the digest of
// the file in the lock. So mirrors need not be trusted.
//
// Scripts of packages never run. What matters of some is done here; a package whose scripts would do something else is refused; see
// scripts.go.
package alpine
