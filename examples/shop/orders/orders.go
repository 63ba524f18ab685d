// Package orders reads what was ordered.
package orders

import (
	"encoding/json"
	"fmt"
	"os"
)

// Order is a number of pieces of an article.
type Order struct {
	Article string `json:"article"`
	Pieces  int    `json:"pieces"`
	// Cents is the price of a piece.
	Cents int `json:"cents"`
}

// Read reads the file that ORDERS names, or else that of the image.
func Read() ([]Order, error) {
	name := os.Getenv("ORDERS")
	if name == "" {
		name = "/etc/shop/orders.json"
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var all []Order
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

// Total is what orders cost together, in cents.
func Total(all []Order) int {
	sum := 0
	for _, o := range all {
		sum += o.Pieces * o.Cents
	}
	return sum
}
