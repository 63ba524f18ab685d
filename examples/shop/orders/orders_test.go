package orders

import "testing"

func TestTotal(t *testing.T) {
	t.Setenv("ORDERS", "../orders.json")
	all, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	if got := Total(all); got != 2550 {
		t.Errorf("the orders cost %d cents and not 2550", got)
	}
}
