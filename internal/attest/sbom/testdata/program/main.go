// Command program has three modules in it besides its own.
package main

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/semver"
	"golang.org/x/sync/errgroup"
)

func main() { fmt.Println(semver.IsValid("v1"), new(errgroup.Group), zstd.SpeedDefault) }
