// Command report prints what all orders cost together.
package main

import (
	"fmt"
	"os"

	"github.com/slipway-ci/slipway/examples/shop/orders"
)

func main() {
	all, err := orders.Read()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	total := orders.Total(all)
	fmt.Printf("%d orders, %d.%02d in all\n", len(all), total/100, total%100)
}
