// Package daggertest is a Dagger session for tests without an engine: it speaks the protocol that the SDK speaks, runs
// nothing, and remembers what it was asked for.
package daggertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// Call is one call of a chain, such as withExec with its arguments. An argument that is an object of the engine is the
// [Chain] that made it.
type Call struct {
	Name string
	Args map[string]any
}

// Chain is how an object came about: container, from, withExec, …
type Chain []Call

// Named are the calls of that name.
func (c Chain) Named(name string) []Call {
	var calls []Call
	for _, call := range c {
		if call.Name == name {
			calls = append(calls, call)
		}
	}
	return calls
}

// String writes a chain as one would in code, for messages.
func (c Chain) String() string {
	var b strings.Builder
	for i, call := range c {
		if i > 0 {
			b.WriteString(".")
		}
		fmt.Fprintf(&b, "%s(%v)", call.Name, call.Args)
	}
	return b.String()
}

// Answer answers for what a chain asks for in its last call: "contents", "export" and their like. An error is the engine's
// failure; an [ExecFailure] that of a command. What is "id" or "sync" of an object is answered for by the session.
type Answer func(Chain) (any, error)

// ExecFailure is a command that failed on the engine.
type ExecFailure struct {
	Cmd            []string
	ExitCode       int
	Stdout, Stderr string
}

// LostEngine is why the engine cannot be reached any more, which the session answers as the dagger command does.
type LostEngine string

func (l LostEngine) Error() string { return string(l) }

func (f *ExecFailure) Error() string {
	return fmt.Sprintf("process %v did not complete successfully", f.Cmd)
}

// Session is a session under way.
type Session struct {
	t      testing.TB
	answer Answer

	mu      sync.Mutex
	objects map[string]Chain
	asked   []Chain
	queries []string
}

// token is what the SDK must present.
const token = "session-token"

// Start begins a session, and tells the SDK of this process of it until the test ends.
func Start(t testing.TB, answer Answer) *Session {
	t.Helper()
	s := &Session{t: t, answer: answer, objects: map[string]Chain{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	require.NoError(t, err)
	t.Setenv("DAGGER_SESSION_PORT", at.Port())
	t.Setenv("DAGGER_SESSION_TOKEN", token)
	return s
}

// Asked are the chains that something was asked of, in the order of asking.
func (s *Session) Asked() []Chain {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Chain(nil), s.asked...)
}

// Queries are the texts that went over the wire.
func (s *Session) Queries() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.queries...)
}

// ServeHTTP answers one request of the SDK.
func (s *Session) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, _, _ := r.BasicAuth(); user != token || r.URL.Path != "/query" {
		http.Error(w, "not this session", http.StatusUnauthorized)
		return
	}
	var request struct{ Query string }
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	data, err := s.query(request.Query)
	if lost, ok := err.(LostEngine); ok {
		http.Error(w, `http do: Post "http://dagger/query": `+lost.Error(), http.StatusBadGateway)
		return
	}
	response := map[string]any{"data": data}
	if err != nil {
		fault := map[string]any{"message": err.Error()}
		if failed, ok := err.(*ExecFailure); ok {
			fault["extensions"] = map[string]any{
				"_type": "EXEC_ERROR", "cmd": failed.Cmd, "exitCode": failed.ExitCode, "stdout": failed.Stdout, "stderr": failed.Stderr,
			}
		}
		response["errors"] = []any{fault}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(response) // a client that has gone has no use for it
}

// query follows the only path of a query, and wraps the answer in the names along it.
func (s *Session) query(text string) (any, error) {
	document, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		return nil, err
	}
	var chain Chain
	var names []string
	s.mu.Lock()
	s.queries = append(s.queries, text)
	for set := document.Operations[0].SelectionSet; len(set) > 0; {
		switch selected := set[0].(type) {
		case *ast.InlineFragment:
			set = selected.SelectionSet
		case *ast.Field:
			call := Call{selected.Name, map[string]any{}}
			for _, a := range selected.Arguments {
				value, err := a.Value.Value(nil)
				if err != nil {
					s.mu.Unlock()
					return nil, err
				}
				call.Args[a.Name] = s.resolve(value)
			}
			names = append(names, selected.Alias)
			if made, ok := call.Args["id"].(Chain); ok && call.Name == "node" {
				chain = append(Chain(nil), made...)
			} else {
				chain = append(chain, call)
			}
			set = selected.SelectionSet
		}
	}
	s.asked = append(s.asked, chain)
	s.mu.Unlock()

	answer, err := s.value(chain)
	if err != nil {
		return nil, err
	}
	for i := len(names) - 1; i >= 0; i-- {
		answer = map[string]any{names[i]: answer}
	}
	return answer, nil
}

// resolve puts chains in the place of the IDs that the session gave out.
func (s *Session) resolve(value any) any {
	switch v := value.(type) {
	case string:
		if made, ok := s.objects[v]; ok {
			return made
		}
	case []any:
		for i := range v {
			v[i] = s.resolve(v[i])
		}
	}
	return value
}

func (s *Session) value(chain Chain) (any, error) {
	switch last := chain[len(chain)-1]; last.Name {
	case "sync":
		if _, err := s.answer(chain); err != nil {
			return nil, err
		}
		fallthrough
	case "id":
		s.mu.Lock()
		defer s.mu.Unlock()
		id := fmt.Sprintf("object-%d", len(s.objects))
		s.objects[id] = chain[:len(chain)-1]
		return id, nil
	default:
		return s.answer(chain)
	}
}
