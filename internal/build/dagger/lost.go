package dagger

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Khan/genqlient/graphql"
)

// Failed is the error of an engine for what it was asked to do.
func Failed(what string, err error) error {
	if lost := Lost(err); lost != nil {
		return fmt.Errorf("%s: %w: try again: the engine has what it finished in its caches", what, lost)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Lost describes the answer of a session that does not reach its engine any more; it is nil for any other error. Source: ServeHTTP in
// https://github.com/dagger/dagger/blob/v0.21.8/engine/client/client.go
func Lost(err error) error {
	var answer *graphql.HTTPError
	if !errors.As(err, &answer) || answer.StatusCode != http.StatusBadGateway {
		return nil
	}
	var causes []string
	for _, e := range answer.Response.Errors {
		causes = append(causes, strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(e.Message), "http do: "), `Post "http://dagger/query": `))
	}
	return fmt.Errorf("the connection to the engine was lost: %s", strings.Join(causes, ", "))
}
