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
