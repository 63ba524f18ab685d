package fault

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestJoin(t *testing.T) {
	port, user := Fault{Field: "port", Problem: "wrong"}, Fault{Field: "user", Problem: "wrong"}
	other := errors.New("the disk is full")
	inWords := fmt.Errorf("reading: %w", Faults{user})
	for name, c := range map[string]struct {
		errs []error
		want error
	}{
		"nothing":                {[]error{nil, nil}, nil},
		"each once, in order":    {[]error{Faults{port}, nil, Faults{user, port}, user}, errors.Join(Faults{port, user})},
		"before other errors":    {[]error{other, errors.Join(Faults{port}, other)}, errors.Join(Faults{port}, other, other)},
		"in what adds no words":  {[]error{silent{errors.Join(Faults{port}, Faults{user})}, silent{other}}, errors.Join(Faults{port, user}, silent{other})},
		"not in what adds words": {[]error{inWords, port}, errors.Join(Faults{port}, inWords)},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, Join(c.errs...)) })
	}
}

type silent struct{ error }

func (s silent) Unwrap() error { return s.error }

// No faults are no error, and not an empty list; each fault counts once.
func TestErr(t *testing.T) {
	var faults Faults
	assert.NoError(t, faults.Err())
	faults.Add("port", "x", "wrong", "write a number")
	faults.Add("user", "", "wrong", "")
	faults.Add("port", "x", "wrong", "write a number")
	assert.EqualError(t, faults.Err(), "port \"x\": wrong: write a number\nuser: wrong")
}

// A fault is found in what wraps it, alone or in a list.
func TestAs(t *testing.T) {
	port := Fault{Field: "port", Problem: "wrong"}
	for name, err := range map[string]error{
		"alone": port, "wrapped": fmt.Errorf("reading: %w", port), "list": Faults{port}, "joined": errors.Join(errors.New("other"), Faults{port}),
	} {
		assert.Equal(t, Faults{port}, As(err), name)
	}
	assert.Nil(t, As(errors.New("other")))
	assert.Nil(t, As(nil))
}
