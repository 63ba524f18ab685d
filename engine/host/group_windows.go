package host

import "os/exec"

// inGroup leaves cmd as it is: cancelling kills it, and the compilers that it started end with their pipes.
func inGroup(*exec.Cmd) (end func()) { return func() {} }
